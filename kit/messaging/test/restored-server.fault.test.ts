/** A server that was restored to a moment, as a promoted standby is, too: what it tells of itself, and how its readers go on. */

import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
  // As a base backup does, which leaves slots out.
  const slots = join(copy, "data/pg_replslot");
  for (const slot of await readdir(slots)) await rm(join(slots, slot), { recursive: true });
  await writeFile(join(copy, "data/recovery.signal"), "");
  return await startOwnServer(copy, {
    restore_command: `cp "${log}/%f" "%p"`,
    recovery_target_lsn: moment,
    recovery_target_action: "promote",
  });
}

/** Events of one key, each in a transaction of its own. */
async function append(server: OwnServer, count: number): Promise<void> {
  for (let event = 0; event < count; event++)
    await server.admin.query(
      `with moved as (update account set version = version + 1 where key = 'key-1' returning version)
       insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
       select gen_random_uuid(), 'thing', 'key-1', 'thing.happened.v1', '{}', version, '{"correlationid":"test"}' from moved`,
    );
}

async function told(server: OwnServer): Promise<Row[]> {
  const { rows } = await server.admin.query(
    "select id, aggregateid as key, sequence::int as sequence from outbox_online order by position",
  );
  return rows;
}

const idsOf = (rows: readonly Row[]): string[] => rows.map(({ id }) => id);
