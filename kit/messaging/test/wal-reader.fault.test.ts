import type { Database } from "@onsale/postgres";
import { waitFor } from "@onsale/testing";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { outboxLags } from "../src/operations/outbox-lag.ts";
import { slotNameOf } from "../src/wal/replication-slot.ts";
import { letWrite, randomFrom } from "./crowd-of-writers.ts";
import { flawless, judge, type Row } from "./ledger-of-delivery.ts";
import { type OwnServer, serverDirectory, startOwnServer } from "./own-server.ts";
import { feed, TestConsumer } from "./test-consumer.ts";

let home: OwnServer;
let removeDirectory: () => Promise<void>;
let beta: Database;
let slot: string;
let consumers: TestConsumer[];

beforeAll(async () => {
  const { directory, remove } = await serverDirectory();
  removeDirectory = remove;
  home = await startOwnServer(directory);
  beta = home.open("beta");
  slot = slotNameOf(beta, feed);
});
afterAll(async () => {
  await home.close();
  await removeDirectory();
});
beforeEach(async () => {
  consumers = [];
  await home.admin.query("truncate outbox_online; truncate beta.reader_cursor; update account set version = 0");
});
afterEach(async () => {
  await Promise.all(consumers.map((consumer) => consumer.crash()));
  await dropSlot();
});

function consume(options?: ConstructorParameters<typeof TestConsumer>[1]): TestConsumer {
  const consumer = new TestConsumer(beta, options);
  consumers.push(consumer);
  consumer.start();
  return consumer;
}

const crowd = (seed: number, transactions = 600) => ({ adminUrl: home.server.url, seed, writers: 8, transactions });

/** Nothing lost, invented or out of its key's order; repeats are what a change of readers costs, and the inbox drops them. */
async function expectAllOf(consumer: TestConsumer): Promise<void> {
  const committed = await committedRows();
  expect(committed.length).toBeGreaterThan(0);
  await consumer.has(committed.map(({ id }) => id));
  expect({ ...judge(committed, consumer.delivered), repeated: 0 }).toEqual(flawless);
}

async function committedRows(): Promise<Row[]> {
  const { rows } = await home.admin.query(
    "select id, aggregateid as key, sequence::int as sequence from outbox_online",
  );
  return rows;
}

/** Appends events to a key, each in a transaction of its own or all in that of `client`. */
async function append(
  count: number,
  key = "key-1",
  client: { query(text: string, values: unknown[]): Promise<unknown> } = home.admin,
) {
  await client.query(
    `with moved as (update account set version = version + $2 where key = $1 returning version)
     insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
     select gen_random_uuid(), 'thing', $1, 'thing.happened.v1', '{}', version - $2 + number, '{"correlationid":"test"}'
     from moved, generate_series(1, $2::int) as number order by number`,
    [key, count],
  );
}

async function dropSlot(): Promise<void> {
  await waitFor(async () => {
    await home.admin.query("select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1", [
      slot,
    ]);
    await home.admin.query(
      "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1",
      [slot],
    );
    return true;
  });
}

for (const seed of [1, 2]) {
  test(`a crowd of writers, every kind of end, read from the log by a crashing consumer (seed ${seed})`, async () => {
    const consumer = consume();
    await consumer.servedBecomes("wal");
    const random = randomFrom(seed);
    let writing = true;
    const writers = letWrite(crowd(seed)).finally(() => {
      writing = false;
    });
    while (writing) {
      const goal = consumer.delivered.length + Math.floor(random() * 200);
      await waitFor(() => !writing || consumer.delivered.length > goal);
      await consumer.crashAndStart();
    }
    const deeds = await writers;
    for (const [deed, count] of Object.entries(deeds)) expect(count, `no writer did this: ${deed}`).toBeGreaterThan(0);
    await expectAllOf(consumer);
    expect(consumer.served.filter((by) => by === "wal").length).toBeGreaterThan(1);
    expect(consumer.troubles, "the slot was read on from after every crash").toEqual([]);
  }, 120_000);
}

test("a stream that is cut again and again is taken up where it was", async () => {
  const consumer = consume();
  await consumer.servedBecomes("wal");
  let writing = true;
  const writers = letWrite(crowd(3)).finally(() => {
    writing = false;
  });
  let cuts = 0;
  while (writing) {
    const goal = consumer.delivered.length + 100;
    await waitFor(() => !writing || consumer.delivered.length > goal);
    const { rowCount } = await home.admin.query("select pg_terminate_backend(pid) from pg_stat_replication");
    cuts += rowCount ?? 0;
  }
  await writers;
  await expectAllOf(consumer);
  expect(cuts).toBeGreaterThan(2);
}, 120_000);

test("from the table to the log and back, again and again while writers go on", async () => {
  const consumer = consume({ reader: "snapshot" });
  let writing = true;
  const writers = letWrite(crowd(4, 900)).finally(() => {
    writing = false;
  });
  let changes = 0;
  while (writing) {
    await consumer.crashAndStart("wal");
    await waitFor(() => !writing || consumer.servedBy === "wal");
    const goal = consumer.delivered.length + 60;
    await waitFor(() => !writing || consumer.delivered.length > goal);
    await consumer.crashAndStart("snapshot");
    const further = consumer.delivered.length + 60;
    await waitFor(() => !writing || consumer.delivered.length > further);
    changes++;
  }
  await writers;
  await expectAllOf(consumer);
  expect(changes).toBeGreaterThan(2);
  expect(consumer.served).toContain("wal");
}, 120_000);

test("a slot that is dropped while it is read: the table fills the gap, and a new slot is made", async () => {
  const consumer = await consumeFromLog();
  await append(20);
  await dropSlot();
  await append(20);
  await consumer.has((await committedRows()).map(({ id }) => id));
  expect(consumer.troubles).toContain("absent");
  await consumer.servedBecomes("wal");
  await append(20);
  await expectAllOf(consumer);
}, 60_000);

test("a slot that was made anew while nobody read is noticed, and the table fills the gap", async () => {
  const consumer = await consumeFromLog();
  await append(20);
  await consumer.has((await committedRows()).map(({ id }) => id));
  await consumer.crash();
  await append(20);
  await dropSlot();
  await home.admin.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  await append(20);
  consumer.start();
  await expectAllOf(consumer);
  expect(consumer.troubles).toContain("recreated");
  await consumer.servedBecomes("wal");
}, 60_000);

test("a slot that is somebody else's is left alone, and the table serves", async () => {
  await home.admin.query("select pg_create_physical_replication_slot($1)", [slot]);
  const consumer = consume();
  await append(20);
  await expectAllOf(consumer);
  await waitFor(() => consumer.troubles.includes("foreign"));
  expect(consumer.served).not.toContain("wal");
  const { rows } = await home.admin.query("select slot_type from pg_replication_slots where slot_name = $1", [slot]);
  expect(rows).toEqual([{ slot_type: "physical" }]);
}, 60_000);

test("a slot whose log was removed at the cap is noticed, made anew, and the table fills the gap", async () => {
  const consumer = await consumeFromLog();
  await append(20);
  await consumer.has((await committedRows()).map(({ id }) => id));
  const lag = async () => (await outboxLags(home.open("alpha"))).find(({ lane }) => lane === "online");
  expect(await lag()).toMatchObject({ slots: [{ slot, isRead: true, isLost: false }], alarms: [] });
  await consumer.crash();
  await append(20);
  await loseSlot();
  expect(await lag()).toMatchObject({
    slots: [{ slot, isRead: false, isLost: true }],
    alarms: [`The slot ${slot} has lost its log; its reader goes on from the table.`],
  });
  consumer.start();
  await expectAllOf(consumer);
  expect(consumer.troubles).toContain("lost");
  await consumer.servedBecomes("wal");
  await append(20);
  await expectAllOf(consumer);
}, 60_000);

test("a publication that was made anew may have missed rows: the table is read from where both agreed", async () => {
  const consumer = await consumeFromLog();
  await append(20);
  await consumer.has((await committedRows()).map(({ id }) => id));
  await consumer.crash();
  await home.admin.query("drop publication onsale_alpha_online");
  await append(20);
  await home.admin.query(
    "create publication onsale_alpha_online for table outbox_online with (publish = 'insert', publish_via_partition_root = true)",
  );
  consumer.start();
  await expectAllOf(consumer);
  expect(consumer.troubles).toContain("other-origin");
}, 60_000);

test("a user without the right to replicate is told so, and the table serves", async () => {
  await home.admin.query(`do $$ begin
    if not exists (select from pg_roles where rolname = 'plain') then
      create role plain login password 'plain'; grant onsale_beta to plain;
    end if; end $$`);
  const url = new URL(home.server.url);
  [url.username, url.password] = ["plain", "plain"];
  const consumer = new TestConsumer(home.open("beta", url.href));
  consumers.push(consumer);
  consumer.start();
  await append(20);
  await expectAllOf(consumer);
  await waitFor(() => consumer.faults.some((fault) => fault.includes("may not replicate")));
}, 60_000);

test("a server that is killed under load and starts again: the log is read on, nothing is lost", async () => {
  const consumer = await consumeFromLog();
  const writers = letWrite(crowd(5));
  await waitFor(() => consumer.delivered.length > 100);
  const killed = home.server.pid;
  process.kill(killed, "SIGKILL");
  // Some of the crowd find no server to go on with, and leave a prepared transaction behind.
  await Promise.allSettled([writers]);
  // Sessions of a killed server answer for some moments yet.
  await waitFor(() => home.server.pid !== killed);
  await waitFor(endPrepared);
  await append(20);
  await expectAllOf(consumer);
  await consumer.servedBecomes("wal");
}, 120_000);

test("a transaction of fifty thousand rows, with crashes in its middle, is given whole", async () => {
  const consumer = await consumeFromLog({ limit: 1_000 });
  await append(50_000);
  await append(3, "key-2");
  for (const goal of [5_000, 25_000]) {
    await waitFor(() => consumer.delivered.length > goal);
    await consumer.crashAndStart();
  }
  await expectAllOf(consumer);
  expect(consumer.troubles).toEqual([]);
}, 120_000);

test("transactions that stay open, here and in another database, hold up neither reader nor the slot's position", async () => {
  const consumer = await consumeFromLog();
  const [here, elsewhere] = [await home.admin.connect(), new pg.Client(otherDatabaseUrl())];
  await elsewhere.connect();
  await elsewhere.query("begin; select pg_current_xact_id()");
  await here.query("begin");
  await append(1, "key-9", here);
  await append(20);
  await consumer.has((await committedRows()).map(({ id }) => id));
  await confirms(consumer);

  // Without a slot, one can't be made while they are open: the table serves meanwhile, and the change back comes after.
  await dropSlot();
  await append(20);
  await consumer.has((await committedRows()).map(({ id }) => id));
  expect(consumer.servedBy).toBe("snapshot");
  await here.query("commit");
  await elsewhere.query("rollback");
  here.release();
  await elsewhere.end();
  await consumer.servedBecomes("wal");
  await expectAllOf(consumer);
}, 60_000);

test("an idle lane's slot moves on while others write, and its watermark keeps up", async () => {
  const consumer = await consumeFromLog();
  await confirms(consumer);
  const before = consumer.watermark;
  await waitFor(() => consumer.watermark > before);
  expect(consumer.troubles).toEqual([]);
}, 60_000);

async function consumeFromLog(options?: ConstructorParameters<typeof TestConsumer>[1]): Promise<TestConsumer> {
  const consumer = consume(options);
  await consumer.servedBecomes("wal");
  return consumer;
}

/** Waits until the slot has confirmed a place behind everything that is in the log now. */
async function confirms(consumer: TestConsumer): Promise<void> {
  const { rows } = await home.admin.query("select pg_logical_emit_message(false, 'other', 'work', true) as place");
  const passed = "select confirmed_flush_lsn >= $2 as passed from pg_replication_slots where slot_name = $1";
  await waitFor(async () => (await home.admin.query(passed, [slot, rows[0].place])).rows[0]?.passed, {
    what: `the slot's position behind ${rows[0].place} (${consumer.faults})`,
  });
}

async function endPrepared(): Promise<boolean> {
  const { rows } = await home.admin.query("select gid from pg_prepared_xacts");
  for (const { gid } of rows) await home.admin.query(`commit prepared '${gid}'`);
  return true;
}

/** Writes more log than a slot may keep. */
async function loseSlot(): Promise<void> {
  await waitFor(async () => {
    await home.admin.query(
      "select pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) from generate_series(1, 40)",
    );
    await home.admin.query("checkpoint");
    const state = "select wal_status from pg_replication_slots where slot_name = $1";
    return (await home.admin.query(state, [slot])).rows[0]?.wal_status === "lost";
  });
}

function otherDatabaseUrl(): string {
  const url = new URL(home.server.url);
  url.pathname = "/postgres";
  return url.href;
}
