import type { Database } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { retirePartitions, sealPartitions } from "../src/outbox/partitions.ts";
import { beginning, type OutboxCursor, SnapshotReader } from "../src/outbox/snapshot-reader.ts";
import { WindowSource } from "../src/outbox/window.ts";

let home: TestDatabase;
let database: Database;
let admin: pg.Pool;

beforeEach(async () => {
  home = await testDatabase({
    services: [{ name: "alpha", migrations: new URL("./accounts-migrations/", import.meta.url) }],
  });
  database = home.open("alpha");
  admin = new pg.Pool({ connectionString: home.adminUrl, max: 4, options: "-c search_path=alpha" });
  admin.on("error", () => undefined);
  // Small partitions instead of those that the migration made: 10 positions each.
  await admin.query(
    "drop table outbox_online_1, outbox_online_500001, outbox_online_1000001, outbox_online_1500001, outbox_online_2000001, outbox_online_2500001, outbox_online_3000001, outbox_online_3500001",
  );
  await admin.query("delete from outbox_partition where lane = 'online'");
  await admin.query("select outbox_extend('online', 10, 3)");
});
afterEach(async () => {
  await admin.end();
  await home.close();
});

test("partitions are made ahead, once, however often it is asked", async () => {
  expect((await admin.query("select outbox_extend('online', 10, 3) as made")).rows).toEqual([{ made: 0 }]);
  await write(15);
  expect((await admin.query("select outbox_extend('online', 10, 3) as made")).rows).toEqual([{ made: 2 }]);
});

test("a partition leaves when it is sealed and every registered reader has passed it", async () => {
  const [fast, slow] = [registeredReader("fast"), registeredReader("slow")];
  await Promise.all([fast.report(), slow.report()]);
  await write(25);
  await sealPartitions(database);
  await fast.readAll();
  expect(await retirePartitions(database, 0)).toEqual([]);
  await leave([fast, slow], ["outbox_online_1", "outbox_online_11"]);
  expect(await positions()).toEqual([21, 22, 23, 24, 25]);
});

test("nothing leaves before it is old enough, or while nobody is registered", async () => {
  await write(25);
  await sealPartitions(database);
  expect(await retirePartitions(database, 0)).toEqual([]);
  await registeredReader("reader").readAll();
  expect(await retirePartitions(database, 3_600)).toEqual([]);
});

test("a writer that took its position long ago keeps its partition, even after it committed, until it has been read", async () => {
  const reader = registeredReader("reader");
  const old = await admin.connect();
  await old.query("begin");
  await write(1, old);
  await write(24);
  await sealPartitions(database);
  await reader.readAll();
  expect(await retirePartitions(database, 0), "its writer is still open").toEqual([]);

  await old.query("commit");
  old.release();
  expect(await retirePartitions(database, 0), "it is committed and unread").toEqual([]);
  // The planted fault: "the cursor is past it, so it can go".
  const past =
    "select exists (select from outbox_reader join outbox_partition on high >= last_position where name = 'outbox_online_1') as past";
  expect((await admin.query(past)).rows).toEqual([{ past: true }]);

  expect(await reader.readAll()).toEqual([1]);
  await leave([reader], ["outbox_online_1", "outbox_online_11"]);
});

test("a seal taken after the late writer's commit does not let its unread row go", async () => {
  const reader = registeredReader("reader");
  const old = await admin.connect();
  await old.query("begin");
  await write(1, old);
  await write(24);
  await reader.readAll();
  await old.query("commit");
  old.release();
  await sealPartitions(database);
  expect(await retirePartitions(database, 0)).toEqual([]);
  expect(await reader.readAll()).toEqual([1]);
  await leave([reader], ["outbox_online_1", "outbox_online_11"]);
});

test("the outbox is insert-only, for its own service and for everybody else", async () => {
  await write(1);
  const service = new pg.Client({
    connectionString: home.adminUrl,
    options: "-c search_path=alpha -c role=onsale_alpha",
  });
  await service.connect();
  for (const change of [
    "update outbox_online set payload = '{}'",
    "delete from outbox_online",
    "truncate outbox_online",
  ]) {
    await expect(service.query(change)).rejects.toThrow(/permission denied/);
  }
  const handMade =
    "insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers, xid) select id, aggregatetype, aggregateid, type, payload, 2, headers, '3' from outbox_online";
  await expect(service.query(handMade), "a transaction id made by hand").rejects.toThrow(/permission denied/);
  await service.end();
  for (const change of ["update outbox_online set payload = '{}'", "delete from outbox_online"]) {
    await expect(admin.query(change)).rejects.toThrow(/insert-only/);
  }
});

test("a row that no reader could understand is refused, whoever writes it, also in partitions that are made later", async () => {
  const put = (sequence: string, headers: string, key = "key") =>
    admin.query(
      `insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
       values (gen_random_uuid(), 'thing', $3, 'thing.happened.v1', '{}', $1, $2)`,
      [sequence, headers, key],
    );
  for (const written of [0, 25]) {
    await write(written);
    await expect(put("9007199254740992", "{}")).rejects.toThrow(/outbox_online_sequence/);
    await expect(put("0", "{}")).rejects.toThrow(/outbox_online_sequence/);
    for (const headers of ["null", "[]", '"text"', "7"])
      await expect(put("1", headers), headers).rejects.toThrow(/outbox_online_headers/);
    await expect(put("1", "{}", "k".repeat(1_025))).rejects.toThrow(/outbox_online_key/);
    await admin.query("select outbox_extend('online', 10, 3)");
  }
  await put("9007199254740991", '{"correlationid":"test"}');
});

/** Sees partitions leave. A transaction that another test has open in another database holds them back until it ends. */
async function leave(readers: readonly ReturnType<typeof registeredReader>[], names: readonly string[]): Promise<void> {
  const left: string[] = [];
  const look = async () => {
    await Promise.all(readers.map((reader) => reader.readAll()));
    left.push(...(await retirePartitions(database, 0)));
    return left;
  };
  await expect.poll(look, { timeout: 20_000 }).toEqual(names);
}

/** A reader that reports to the source how far it has come. */
function registeredReader(name: string) {
  const reader = new SnapshotReader({
    database,
    windows: new WindowSource(database, "alpha"),
    source: "alpha",
    lane: "online",
    types: ["thing.happened.v1"],
  });
  let cursor: OutboxCursor = beginning;
  const report = () => admin.query("select outbox_report($1, 'online', $2, $3)", [name, cursor.snap, cursor.high]);
  return {
    report,
    /** Reads to the end; gives the sequences read. */
    async readAll(): Promise<number[]> {
      const sequences: number[] = [];
      for (;;) {
        const chunk = await reader.read(cursor, 100);
        sequences.push(...chunk.events.map(({ event }) => event.sequence));
        cursor = chunk.after;
        if (chunk.drained) break;
      }
      await report();
      return sequences;
    },
  };
}

async function positions(): Promise<number[]> {
  const { rows } = await admin.query("select position::int as position from outbox_online order by position");
  return rows.map(({ position }) => position);
}

async function write(count: number, client: Pick<pg.Pool, "query"> = admin): Promise<void> {
  await client.query(
    `insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
     select gen_random_uuid(), 'thing', 'key', 'thing.happened.v1', '{}', number, '{"correlationid":"test"}' from generate_series(1, $1) as number`,
    [count],
  );
}
