/** A server that was restored to a moment, and a standby that was promoted: what they tell of themselves, and how readers go on. */

import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "@onsale/testing";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { flawless, judge, type Row } from "./ledger-of-delivery.ts";
import { type OwnServer, serverDirectory, startOwnServer } from "./own-server.ts";
import { TestConsumer } from "./test-consumer.ts";

// The first life's log has to be there for the second.
const keepsItsLog = { wal_keep_size: "1GB" };

test("a server restored to a moment is on another timeline: it is noticed, the table is read on, and then its log", async () => {
  const [first, second] = [await directory(), await directory()];

  let server = await startOwnServer(first, keepsItsLog);
  await append(server, 30);
  await server.close();
  await cp(first, second, { recursive: true, preserveTimestamps: true });

  server = await startOwnServer(first, keepsItsLog);
  const before = consume(server);
  await before.servedBecomes("wal");
  await append(server, 30);
  await before.has(idsOf(await told(server)));
  const { rows } = await server.admin.query("select pg_current_wal_flush_lsn() as moment");
  await append(server, 40);
  const lost = idsOf(await told(server)).slice(60);
  await before.has(lost);
  await before.crash();
  await server.close();

  await using restored = await restore(second, { log: join(first, "data/pg_wal"), moment: rows[0].moment });
  const after = consume(restored);
  await append(restored, 20);
  const committed = await told(restored);
  expect(committed).toHaveLength(80);
  expect(
    idsOf(committed).filter((id) => lost.includes(id)),
    "the moment was before them",
  ).toEqual([]);
  const kept = before.delivered.filter(({ id }) => !lost.includes(id));
  const news = committed.slice(60);
  await after.has(idsOf(news));
  await after.servedBecomes("wal");
  expect(after.timelines).toEqual([{ from: 1, to: 2 }]);
  expect(after.troubles[0]).toBe("other-origin");
  await append(restored, 10);
  await after.has(idsOf(await told(restored)).slice(80));
  const delivered = [...kept, ...after.delivered];
  expect({ ...judge(await told(restored), delivered), repeated: 0 }).toEqual(flawless);
  await after.crash();
}, 120_000);

test("a standby that is promoted when its primary is killed under load: what was acknowledged is there, and read on once", async () => {
  const [first, second] = [await directory(), await directory()];
  let primary = await startOwnServer(first, keepsItsLog);
  await append(primary, 10);
  await primary.close();
  await cp(first, second, { recursive: true, preserveTimestamps: true });
  primary = await startOwnServer(first, keepsItsLog);
  const promotion = followUntilPromoted(second, primary);
  await makeSynchronous(primary);

  const before = consume(primary);
  await before.servedBecomes("wal");
  const acknowledged: string[] = [];
  const writing = Promise.all(["key-1", "key-2"].map((key) => appendUntilRefused(primary, key, acknowledged)));
  await waitFor(() => before.delivered.length > 60);
  // What a consumer commits while its server dies it does not know; here it is the writers whose server dies.
  await before.crash();
  const enough = acknowledged.length + 20;
  await waitFor(() => acknowledged.length > enough);
  process.kill(primary.server.pid, "SIGKILL");
  // Ours starts again what is killed; this one is to stay away.
  await primary.close();
  await writing;

  await using promoted = await promotion.promote();
  const committed = await told(promoted);
  const there = new Set(idsOf(committed));
  expect(
    acknowledged.filter((id) => !there.has(id)),
    "acknowledged and not there",
  ).toEqual([]);
  const after = consume(promoted);
  await append(promoted, 20);
  const all = await told(promoted);
  await after.has(idsOf(all.slice(committed.length)));
  await after.servedBecomes("wal");
  expect(after.timelines).toEqual([{ from: 1, to: 2 }]);
  expect(after.troubles.length, "its slot stayed with the primary").toBeGreaterThan(0);
  const delivered = [...before.delivered, ...after.delivered];
  expect({ ...judge(all, delivered), repeated: 0 }).toEqual(flawless);
  expect(before.delivered.length, "the log was read before").toBeGreaterThan(60);
  await after.crash();
}, 120_000);

async function directory(): Promise<string> {
  const { directory, remove } = await serverDirectory();
  onTestFinished(remove);
  return directory;
}

function consume(server: OwnServer): TestConsumer {
  const consumer = new TestConsumer(server.open("beta"));
  onTestFinished(() => consumer.crash());
  consumer.start();
  return consumer;
}

/** Plays the log of another life on a copy, up to a moment of it. */
async function restore(copy: string, { log, moment }: { log: string; moment: string }): Promise<OwnServer> {
  await leaveOutSlots(copy);
  await writeFile(join(copy, "data/recovery.signal"), "");
  return await startOwnServer(copy, {
    restore_command: `cp "${log}/%f" "%p"`,
    recovery_target_lsn: moment,
    recovery_target_action: "promote",
  });
}

/** As a base backup does. */
async function leaveOutSlots(copy: string): Promise<void> {
  const slots = join(copy, "data/pg_replslot");
  for (const slot of await readdir(slots)) await rm(join(slots, slot), { recursive: true });
}

/** Starts a copy as a standby of a server; it can be opened once it is promoted. */
function followUntilPromoted(copy: string, primary: OwnServer) {
  const standby = (async () => {
    await leaveOutSlots(copy);
    await writeFile(join(copy, "data/standby.signal"), "");
    return await startOwnServer(copy, { primary_conninfo: primary.server.url });
  })();
  // Its failure is met where it is waited for.
  standby.catch(() => undefined);
  return {
    async promote(): Promise<OwnServer> {
      const url = new URL(primary.server.url);
      url.port = await waitFor(async () => {
        const port = (await readFile(join(copy, "port"), "utf8")).trim();
        return port !== url.port && port;
      });
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      await client.query("select pg_promote()");
      await client.end();
      return await standby;
    },
  };
}

/** From now on a commit is acknowledged when the standby has it, too. */
async function makeSynchronous({ admin }: OwnServer): Promise<void> {
  await admin.query("alter system set synchronous_standby_names = '*'");
  await admin.query("select pg_reload_conf()");
  await waitFor(
    async () => (await admin.query("select from pg_stat_replication where sync_state = 'sync'")).rowCount === 1,
    { withinMs: 30_000, what: "a synchronous standby" },
  );
}

/** Events of one key, each in a transaction of its own. */
async function append(server: OwnServer, count: number): Promise<void> {
  for (let event = 0; event < count; event++) await appendOne(server, "key-1");
}

async function appendUntilRefused(server: OwnServer, key: string, acknowledged: string[]): Promise<void> {
  try {
    for (;;) acknowledged.push(await appendOne(server, key));
  } catch {
    // Its server is gone: whether the last one was committed it does not know.
  }
}

async function appendOne({ admin }: OwnServer, key: string): Promise<string> {
  const { rows } = await admin.query(
    `with moved as (update account set version = version + 1 where key = $1 returning version)
     insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
     select gen_random_uuid(), 'thing', $1, 'thing.happened.v1', '{}', version, '{"correlationid":"test"}' from moved
     returning id`,
    [key],
  );
  return rows[0].id;
}

async function told(server: OwnServer): Promise<Row[]> {
  const { rows } = await server.admin.query(
    "select id, aggregateid as key, sequence::int as sequence from outbox_online order by position",
  );
  return rows;
}

const idsOf = (rows: readonly Row[]): string[] => rows.map(({ id }) => id);
