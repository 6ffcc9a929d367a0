import { consumer, fact, publish } from "@onsale/messaging";
import { type Database, sql, text } from "@onsale/postgres";
import {
  deliver,
  eventOf,
  readOutbox,
  serverOfThisRun,
  type TestDatabase,
  testDatabase,
  testIds,
} from "@onsale/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addSql, open, paid, service, stateOf } from "./till.ts";

let own: TestDatabase;
let database: Database;
beforeAll(async () => {
  own = await testDatabase({ services: [service] });
  database = own.open("till");
  await open(database);
});
afterAll(() => own.close());

const databasesSql = sql("testing.databases", { takes: [], gives: { name: text } })`
  select datname::text as name from pg_database`;

test("each test database is its own, made from one template, and gone when it is closed", async () => {
  const [one, two] = await Promise.all([1, 2].map(() => testDatabase({ services: [service] })));
  if (one === undefined || two === undefined) throw new Error("No databases.");
  await open(one.open("till"));
  expect(await stateOf(one.open("till"))).toEqual({ cents: 0, receipts: 0 });
  expect(await stateOf(two.open("till"))).toBeUndefined();
  const names = async () => (await database.query(databasesSql, [])).map(({ name }) => name);
  const name = new URL(one.adminUrl).pathname.slice(1);
  expect(await names()).toContain(name);
  await Promise.all([one.close(), two.close()]);
  expect(await names()).not.toContain(name);
});

test("a database of a service has the tables of the kit, and its role may use them", async () => {
  await database.transaction((tx) =>
    publish(tx, [
      fact(paid, { data: { orderId: "order-7", cents: 5 }, sequence: 1, cause: { correlationId: "because" } }),
    ]),
  );
  const published = await readOutbox(database, paid);
  expect(published).toMatchObject([
    { type: "bill.paid.v1", key: "order-7", sequence: 1, lane: "online", data: { cents: 5 } },
  ]);
  expect(published[0]?.cause).toEqual({ correlationId: "because" });
});

test("a handler that was given an event twice by the kit's delivery has worked once", async () => {
  const takeMoney = consumer("till.take-money", {
    on: paid,
    in: "batch",
    do: async (tx, events) => {
      for (const { data } of events) await tx.execute(addSql, [data.cents]);
    },
  });
  const event = eventOf(paid, { orderId: "order-8", cents: 30 });
  await deliver(database, takeMoney, [event], { ids: testIds() });
  await deliver(database, takeMoney, [event], { ids: testIds() });
  expect(await stateOf(database)).toMatchObject({ cents: 30 });
});

test("an event made twice is the same event, and one that its schema refuses is not made", () => {
  const made = () => eventOf(paid, { orderId: "order-9" }, { sequence: 3 });
  expect(made()).toEqual(made());
  expect(made()).toMatchObject({ key: "order-9", sequence: 3, data: { orderId: "order-9", cents: 100 } });
  expect(eventOf(paid, {}, { sequence: 4 }).id).not.toBe(made().id);
  expect(() => eventOf(paid, { cents: "much" as never })).toThrow("bill.paid.v1");
});

test("the run's server gives up what it would cost to survive a power cut", async () => {
  const client = new pg.Client({ connectionString: await serverOfThisRun() });
  await client.connect();
  expect((await client.query("show fsync")).rows).toEqual([{ fsync: "off" }]);
  await client.end();
});
