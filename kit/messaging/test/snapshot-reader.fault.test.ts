import type { Database } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Chunk } from "../src/log.ts";
import { beginning, type OutboxCursor, SnapshotReader } from "../src/outbox/snapshot-reader.ts";
import { type Window, WindowSource } from "../src/outbox/window.ts";
import { type CrowdOptions, letWrite, randomFrom } from "./crowd-of-writers.ts";
import { flawless, judge, type Row, type Verdict } from "./ledger-of-delivery.ts";

/** Anything that reads an outbox in chunks: the real reader, or one with a fault planted. */
interface AnyReader<Position> {
  readonly start: Position;
  read(from: Position, limit: number): Promise<{ rows: Row[]; after: Position; drained: boolean }>;
}

let home: TestDatabase;
let database: Database;
let admin: pg.Pool;
const accounts = new URL("./accounts-migrations/", import.meta.url);

beforeEach(async () => {
  home = await testDatabase({ services: [{ name: "alpha", migrations: accounts }] });
  database = home.open("alpha");
  admin = new pg.Pool({ connectionString: home.adminUrl, max: 4, options: "-c search_path=alpha" });
  admin.on("error", () => undefined);
});
afterEach(async () => {
  await admin.end();
  await home.close();
});

const snapshotReader = (windows = new WindowSource(database, "alpha")): AnyReader<OutboxCursor> => {
  const newReader = () =>
    new SnapshotReader({ database, windows, source: "alpha", lane: "online", types: ["thing.happened.v1"] });
  let reader = newReader();
  const random = randomFrom(7);
  return {
    start: beginning,
    async read(from, limit) {
      // A crash now and then: all that survives is the cursor, as text.
      if (random() < 0.2) reader = newReader();
      const chunk: Chunk<OutboxCursor> = await reader.read(JSON.parse(JSON.stringify(from)), limit);
      return { rows: chunk.events.map(({ event }) => event), after: chunk.after, drained: chunk.drained };
    },
  };
};

/** Reads while the crowd writes and until nothing is left, then compares with what was committed. */
async function trial<Position>(reader: AnyReader<Position>, crowd: Omit<CrowdOptions, "adminUrl">): Promise<Verdict> {
  const random = randomFrom(crowd.seed);
  const delivered: Row[] = [];
  let writing = true;
  const writers = letWrite({ ...crowd, adminUrl: home.adminUrl }).finally(() => {
    writing = false;
  });
  let position = reader.start;
  let drainedAfterTheEnd = false;
  while (!drainedAfterTheEnd) {
    const over = !writing;
    const chunk = await reader.read(position, 1 + Math.floor(random() * 20));
    delivered.push(...chunk.rows);
    position = chunk.after;
    drainedAfterTheEnd = over && chunk.drained;
  }
  const deeds = await writers;
  for (const [deed, count] of Object.entries(deeds)) expect(count, `no writer did this: ${deed}`).toBeGreaterThan(0);
  return judge(await committedRows(), delivered);
}

async function committedRows(): Promise<Row[]> {
  const { rows } = await admin.query("select id, aggregateid as key, sequence::int as sequence from outbox_online");
  return rows;
}

for (const seed of [1, 2, 3]) {
  test(`a crowd of writers, every kind of end, a crashing reader: nothing lost, repeated or reordered (seed ${seed})`, async () => {
    expect(await trial(snapshotReader(), { seed, writers: 10, transactions: 600 })).toEqual(flawless);
  }, 60_000);
}

test("planted: a cursor of positions alone loses late commits", async () => {
  const byPosition: AnyReader<number> = {
    start: 0,
    async read(from, limit) {
      const { rows } = await admin.query(
        "select id, aggregateid as key, sequence::int as sequence, position::int as position from outbox_online where position > $1 order by position limit $2",
        [from, limit],
      );
      return { rows, after: rows.at(-1)?.position ?? from, drained: rows.length === 0 };
    },
  };
  expect((await trial(byPosition, { seed: 1, writers: 10, transactions: 600 })).lost).toBeGreaterThan(0);
}, 60_000);

test("planted: a cursor of transaction ids below the oldest open one reorders keys", async () => {
  const byTransaction: AnyReader<{ xid: string; position: number }> = {
    start: { xid: "0", position: 0 },
    async read(from, limit) {
      const { rows } = await admin.query(
        `select id, aggregateid as key, sequence::int as sequence, xid::text as xid, position::int as position from outbox_online
         where (xid, position) > ($1::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid, position limit $3`,
        [from.xid, from.position, limit],
      );
      return { rows, after: rows.at(-1) ?? from, drained: rows.length === 0 };
    },
  };
  expect((await trial(byTransaction, { seed: 1, writers: 10, transactions: 600 })).inverted).toBeGreaterThan(0);
}, 60_000);

test("planted: a writer that inserts before it locks the key makes order meaningless", async () => {
  const { inverted, lost } = await trial(snapshotReader(), {
    seed: 4,
    writers: 10,
    transactions: 600,
    insertBeforeLock: true,
  });
  expect(lost).toBe(0);
  expect(inverted).toBeGreaterThan(0);
}, 60_000);

test("planted: a fence that reads the sequence torn, up to 32 too high, skips what is allocated next", async () => {
  const torn = new (class extends WindowSource {
    override async next(): Promise<Window> {
      const window = await super.next();
      return { ...window, highs: { ...window.highs, online: window.highs.online + 32 } };
    }
  })(database, "alpha");
  const skippedBy = async (windows: WindowSource): Promise<number> => {
    const reader = snapshotReader(windows);
    const delivered: Row[] = [];
    let cursor = reader.start;
    for (let round = 0; round < 10; round++) {
      await append("key-1");
      const chunk = await reader.read(cursor, 100);
      delivered.push(...chunk.rows);
      cursor = chunk.after;
    }
    return judge(await committedRows(), delivered).lost;
  };
  expect(await skippedBy(torn)).toBeGreaterThan(0);
  await admin.query("truncate outbox_online");
  expect(await skippedBy(new WindowSource(database, "alpha"))).toBe(0);
});

test("an open transaction elsewhere stalls nobody, and its own rows come once it has committed", async () => {
  const reader = snapshotReader();
  const [slow, elsewhere] = [await admin.connect(), await admin.connect()];
  await elsewhere.query("begin; select pg_current_xact_id()");
  await slow.query("begin");
  await append("key-1", slow);
  await append("key-2");

  const first = await reader.read(reader.start, 100);
  expect(first.rows.map(({ key }) => key)).toEqual(["key-2"]);
  const nothing = await reader.read(first.after, 100);
  expect(nothing).toMatchObject({ rows: [], drained: true });

  await append("key-3");
  await slow.query("commit");
  const second = await reader.read(nothing.after, 100);
  expect(second.rows.map(({ key }) => key)).toEqual(["key-1", "key-3"]);

  await elsewhere.query("rollback");
  slow.release();
  elsewhere.release();
});

test("a cursor in the middle of a window goes on exactly behind the last event, in another process", async () => {
  const slow = await admin.connect();
  await slow.query("begin");
  for (const key of ["key-1", "key-2", "key-3"]) await append(key, slow);
  for (const key of ["key-4", "key-5"]) await append(key);
  const before = snapshotReader();
  const seen = await before.read(before.start, 100);
  for (const key of ["key-6", "key-7"]) await append(key);
  await slow.query("commit");
  slow.release();

  const delivered = [...seen.rows];
  let cursor = seen.after;
  for (;;) {
    const chunk = await snapshotReader().read(cursor, 1);
    delivered.push(...chunk.rows);
    cursor = chunk.after;
    if (chunk.drained && chunk.rows.length === 0) break;
  }
  expect(delivered.map(({ key }) => key)).toEqual(["key-4", "key-5", "key-1", "key-2", "key-3", "key-6", "key-7"]);
});

test("a connection that was replaced voids the snapshots in memory", async () => {
  const windows = new WindowSource(database, "alpha");
  const reader = new SnapshotReader({
    database,
    windows,
    source: "alpha",
    lane: "online",
    types: ["thing.happened.v1"],
  });
  const { after } = await reader.read(beginning, 10);
  await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test alpha'");
  // Some calls may still meet the dead connection; the first that meets the new one must not go on as if nothing had been.
  const answers: string[] = [];
  while (!answers.includes("SessionLostError")) {
    answers.push(
      await reader.read(after, 10).then(
        () => "read on",
        (error) => error.name,
      ),
    );
    expect(answers).not.toContain("read on");
  }
});

/** Appends one event to a key in a transaction of its own, or in that of `client`. */
async function append(key: string, client: Pick<pg.Pool, "query"> = admin): Promise<void> {
  await client.query(
    `with moved as (update account set version = version + 1 where key = $1 returning version)
     insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
     select gen_random_uuid(), 'thing', $1, 'thing.happened.v1', '{}', version, '{"correlationid":"test"}' from moved`,
    [key],
  );
}
