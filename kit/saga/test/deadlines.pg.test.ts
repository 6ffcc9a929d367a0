import { migrations as messaging } from "@onsale/messaging";
import { bigint, type Database, databaseNow, instant, sql, text, voids } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  armDeadlines,
  armFirstDeadlines,
  type Deadline,
  disarmDeadlines,
  migrations,
  takeDueDeadlines,
} from "../src/index.ts";

let own: TestDatabase;
let database: Database;
beforeEach(async () => {
  own = await testDatabase({ schema: "trips", sets: [messaging, migrations] });
  database = own.open("trips");
});
afterEach(() => own.close());

const heardSql = sql("test.saga-heard", { takes: [text, text, text, instant], gives: {} })`
  insert into reader_cursor (reader, source, lane, watermark, system_identifier) values ($1, $2, $3, $4, 0)
  on conflict (reader, source, lane, slot) do update set watermark = excluded.watermark`;
const heard = (source: string, upTo: string, lane = "online") =>
  database.execute(heardSql, ["trips", source, lane, upTo]);

const parkSql = sql("test.saga-park", { takes: [text], gives: {} })`
  insert into parked_key (reader, aggregate, key, source, state, attempts, next_attempt_at, error)
  values ('trips', 'ticket', $1, 'rail', 'waiting', 1, now(), 'no ink')`;
const unparkSql = sql("test.saga-unpark", { takes: [text], gives: {} })`delete from parked_key where key = $1`;

const minutesFromNow = async (minutes: number) =>
  new Date(Date.parse(await databaseNow(database)) + minutes * 60_000).toISOString();

const arm = (...deadlines: Deadline[]) => database.transaction((tx) => armDeadlines(tx, "trip", deadlines));
const take = async (limit = 10) => {
  const taken = await database.transaction((tx) => takeDueDeadlines(tx, { saga: "trip", reader: "trips", limit }));
  return taken.map(({ key, wait }) => `${key} ${wait}`).sort();
};

const past = "2020-01-01T00:00:00.000Z";

test("first deadlines fire as others do, and a key that has one already fails the transaction", async () => {
  const first = { key: "new", wait: "ticket", dueAt: past };
  const armFirst = () => database.transaction((tx) => armFirstDeadlines(tx, "trip", [first]));
  await armFirst();
  await expect(armFirst()).rejects.toMatchObject({ code: "23505" });
  expect(await take()).toEqual(["new ticket"]);
});

describe("a deadline fires", () => {
  test("once, when database time and the deciding source's watermark have passed it", async () => {
    await arm({ key: "a", wait: "ticket", awaits: "rail", dueAt: past });
    await heard("rail", "2020-01-01T00:00:00.000Z");
    expect(await take()).toEqual(["a ticket"]);
    expect(await take()).toEqual([]);
  });

  test("not before its time, however far the source was heard", async () => {
    await arm({ key: "a", wait: "ticket", awaits: "rail", dueAt: await minutesFromNow(5) });
    await heard("rail", await minutesFromNow(60));
    expect(await take()).toEqual([]);
  });

  test("not while the source was heard only up to a moment before it", async () => {
    await arm({ key: "a", wait: "ticket", awaits: "rail", dueAt: past });
    await heard("rail", "2019-12-31T23:59:59.999Z");
    expect(await take()).toEqual([]);
    await heard("rail", past);
    expect(await take()).toEqual(["a ticket"]);
  });

  test("not while one lane of the source is behind, nor while it was never heard", async () => {
    await arm({ key: "a", wait: "ticket", awaits: "rail", dueAt: past });
    expect(await take()).toEqual([]);
    await heard("rail", await minutesFromNow(0));
    await heard("rail", "2019-01-01T00:00:00.000Z", "bulk");
    expect(await take()).toEqual([]);
    await heard("rail", past, "bulk");
    expect(await take()).toEqual(["a ticket"]);
  });

  test("not while another source than the deciding one was heard", async () => {
    await arm({ key: "a", wait: "ticket", awaits: "rail", dueAt: past });
    await heard("bank", await minutesFromNow(0));
    expect(await take()).toEqual([]);
  });

  test("not while its key is parked: the answer may lie there", async () => {
    await arm(
      { key: "a", wait: "ticket", awaits: "rail", dueAt: past },
      { key: "b", wait: "ticket", awaits: "rail", dueAt: past },
    );
    await heard("rail", await minutesFromNow(0));
    await database.execute(parkSql, ["a"]);
    expect(await take()).toEqual(["b ticket"]);
    await database.execute(unparkSql, ["a"]);
    expect(await take()).toEqual(["a ticket"]);
  });

  test("by the clock alone where nobody is awaited", async () => {
    await arm({ key: "a", wait: "look", dueAt: past }, { key: "b", wait: "look", dueAt: await minutesFromNow(5) });
    expect(await take()).toEqual(["a look"]);
  });
});

test("arming again moves it; disarming removes all of a key, and of no other", async () => {
  await arm(
    { key: "a", wait: "look", dueAt: past },
    { key: "b", wait: "look", dueAt: past },
    { key: "b", wait: "ticket", dueAt: past },
  );
  await arm({ key: "a", wait: "look", dueAt: await minutesFromNow(5) });
  await database.transaction((tx) => disarmDeadlines(tx, "trip", ["b"]));
  expect(await take()).toEqual([]);
});

test("another saga's deadlines are not taken", async () => {
  await database.transaction((tx) => armDeadlines(tx, "voyage", [{ key: "a", wait: "look", dueAt: past }]));
  expect(await take()).toEqual([]);
});

test("the oldest first, no more than the limit", async () => {
  const days = ["03", "01", "02"].map((day) => ({ key: day, wait: "look", dueAt: `2020-01-${day}T00:00:00.000Z` }));
  await arm(...days);
  expect(await take(2)).toEqual(["01 look", "02 look"]);
  expect(await take(2)).toEqual(["03 look"]);
});

test("two takers never wait for each other and never take the same", async () => {
  await arm(...["a", "b", "c", "d"].map((key) => ({ key, wait: "look", dueAt: past })));
  const both = await database.transaction(async (first) => {
    const mine = await takeDueDeadlines(first, { saga: "trip", reader: "trips", limit: 2 });
    const others = await take(10);
    return [...mine.map(({ key }) => key), ...others.map((name) => name.charAt(0))].sort();
  });
  expect(both).toEqual(["a", "b", "c", "d"]);
});

test("what a rolled back transaction took is there again", async () => {
  await arm({ key: "a", wait: "look", dueAt: past });
  const failing = database.transaction(async (tx) => {
    expect(await takeDueDeadlines(tx, { saga: "trip", reader: "trips", limit: 1 })).toHaveLength(1);
    throw new Error("on purpose");
  });
  await expect(failing).rejects.toThrow("on purpose");
  expect(await take()).toEqual(["a look"]);
});

// The statement is asked every second: it must not read what waits for a source that is silent.
test("what waits for a source that is not heard is not read", async () => {
  const silent = Array.from({ length: 5_000 }, (_, index) => ({
    ...{ key: `k${index}`, wait: "ticket", awaits: "rail", dueAt: past },
  }));
  await arm(...silent, { key: "a", wait: "look", dueAt: past });
  expect(await readsOf(() => take())).toBeLessThan(50);
  await heard("rail", past);
  expect(await readsOf(() => take(5_000))).toBeGreaterThan(5_000);
});

const flushSql = sql("test.saga-flush-statistics", {
  takes: [],
  gives: { flushed: voids },
})`select pg_stat_force_next_flush() as flushed`;
const readsSql = sql("test.saga-reads", { takes: [], gives: { reads: bigint } })`
  select (select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes where relname = 'saga_deadline')::bigint
    + (select coalesce(sum(seq_tup_read), 0) from pg_stat_user_tables where relname = 'saga_deadline')::bigint as reads`;

/** Entries of the table and its indexes that were read by `work`. */
async function readsOf(work: () => Promise<unknown>): Promise<number> {
  const before = await reads();
  await work();
  return (await reads()) - before;
}

/** The test's transactions share one connection, which tells what it has read when it is asked to. */
async function reads(): Promise<number> {
  await database.transaction((tx) => tx.query(flushSql, []));
  return (await database.query(readsSql, []))[0]?.reads ?? 0;
}
