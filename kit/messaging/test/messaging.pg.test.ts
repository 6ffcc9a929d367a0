import { randomUUID } from "node:crypto";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { consumer } from "../src/consumers/consumer.ts";
import { type Delivered, defineEvent, fact } from "../src/events/event.ts";
import { type Messaging, openMessaging } from "../src/messaging.ts";
import { EventRefusedError, publish } from "../src/outbox/publish.ts";
import { NothingChangedError } from "../src/outbox/publish-with.ts";

const closed = defineEvent("till.closed.v1", {
  key: "tillId",
  lanes: { online: true, bulk: true },
  schema: Type.Object({ tillId: Type.String(), takingsMinor: Type.Integer() }),
  sample: { tillId: "t-1", takingsMinor: 12_345 },
});
const closing = (tillId: string, sequence = 1) =>
  fact(closed, { data: { tillId, takingsMinor: 1 }, sequence, cause: { correlationId: tillId } });

let home: TestDatabase;
let messaging: Messaging;
let pool: pg.Pool;
let heard: Delivered<typeof closed>[];

beforeEach(async () => {
  home = await testDatabase({ schema: "empty", sets: [] });
  messaging = await openMessaging({
    url: home.adminUrl,
    schema: "shop",
    migrations: new URL("./accounts-migrations/", import.meta.url),
  });
  pool = new pg.Pool({ connectionString: home.adminUrl, max: 2 });
  pool.on("error", () => undefined);
  heard = [];
});
afterEach(async () => {
  await messaging.close();
  await pool.end();
  await home.close();
});

const listen = () =>
  messaging.consume([
    consumer("shop.hear", { on: closed, in: "each", concurrency: 4, call: async (event) => void heard.push(event) }),
  ]);

/** A connection of the application's own, which is closed afterwards. */
async function withClient(work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await work(client);
  } finally {
    client.release(true);
  }
}

const inOwnTransaction = (work: (client: pg.PoolClient) => Promise<void>): Promise<void> =>
  withClient(async (client) => {
    await client.query("begin");
    await work(client);
    await client.query("commit");
  });

const insertAccount = (client: pg.PoolClient, id: string) =>
  client.query("insert into shop.account (key, version) values ($1, 1)", [id]);

const countInOutbox = async () => {
  const { rows } = await pool.query(
    "select (select count(*) from shop.outbox_online)::int + (select count(*) from shop.outbox_bulk)::int as count",
  );
  return rows[0].count;
};

test("an event published beside the application's own change arrives, in either lane, wherever the search path leads", async () => {
  listen();
  await inOwnTransaction(async (client) => {
    await insertAccount(client, "a");
    await messaging.publish(client, [closing("a"), { ...closing("b"), lane: "bulk" }]);
  });
  messaging.wake();
  await expect.poll(() => heard.map(({ key }) => key).sort()).toEqual(["a", "b"]);
  expect(heard[0]).toMatchObject({ source: "shop", type: "till.closed.v1", sequence: 1 });
});

test("what the application rolls back was never published", async () => {
  await withClient(async (client) => {
    await client.query("begin");
    await insertAccount(client, "a");
    await messaging.publish(client, [closing("a")]);
    await client.query("rollback");
  });
  expect(await countInOutbox()).toBe(0);
});

test("outside a transaction nothing is published, and the caller is told", async () => {
  await expect(messaging.publish(pool, [closing("a")])).rejects.toThrow(NothingChangedError);
  expect(await countInOutbox()).toBe(0);
});

test("after the end of a transaction, or before its first change, nothing is published", async () => {
  await inOwnTransaction(async (client) => {
    await expect(messaging.publish(client, [closing("a")])).rejects.toThrow(NothingChangedError);
    await insertAccount(client, "a");
    // Not awaited: the event stands behind the commit in the driver's line.
    const committed = client.query("commit");
    await expect(messaging.publish(client, [closing("a")])).rejects.toThrow(NothingChangedError);
    await committed;
  });
  expect(await countInOutbox()).toBe(0);
});

test("a row lock is a change enough: it is what keeps a key's order", async () => {
  await inOwnTransaction(async (client) => void (await insertAccount(client, "a")));
  await inOwnTransaction(async (client) => {
    await client.query("select from shop.account where key = 'a' for update");
    await messaging.publish(client, [closing("a", 2)]);
  });
  expect(await countInOutbox()).toBe(1);
});

test("an event that does not fit its schema is refused before anything is sent", async () => {
  const misfit = { ...closing("a"), data: { tillId: "a", takingsMinor: "much" as never } };
  await expect(messaging.publish(pool, [misfit])).rejects.toThrow(EventRefusedError);
});

test("what a consumer could not store is refused: a NUL, half of a character, in the data or in the cause", async () => {
  for (const word of ["a\u0000", "\ud83d", "\udc00\ud800", "\\\u0000"]) {
    await expect(messaging.publish(pool, [closing(word)])).rejects.toThrow(/has a NUL or half of a character/);
    const caused = { ...closing("a"), cause: { correlationId: word } };
    await expect(messaging.publish(pool, [caused])).rejects.toThrow(EventRefusedError);
  }
});

test("what only looks like it is published to the letter", async () => {
  listen();
  const words = ["\\u0000", "\\\\ud800", "\u0001", "\ud83d\ude00", "\\ue000", '"\\"'];
  await messaging.database.transaction((tx) =>
    publish(
      tx,
      words.map((word) => closing(word)),
    ),
  );
  await expect.poll(() => heard.map(({ data }) => data.tillId)).toEqual(words);
});

test("consumers act under a role that may not rewrite what was published", async () => {
  await messaging.database.transaction((tx) => publish(tx, [closing("a")]));
  const rewriteSql = "update shop.outbox_online set payload = '{}'";
  await expect(pool.query(rewriteSql)).rejects.toThrow(/insert-only/);
  await withClient(async (client) => {
    await client.query("set role shop_app");
    await expect(client.query(rewriteSql)).rejects.toThrow(/permission denied/);
  });
});

test("to migrate, a user who may make roles is enough: no superuser", async () => {
  const name = `steward_${randomUUID().slice(0, 8)}`;
  const { database } = new pg.Client(home.adminUrl);
  await pool.query(`create role ${name} login createrole password 'steward'`);
  // Of another user's making: roles belong to the whole server.
  await pool.query(`grant onsale_reader to ${name} with admin option`);
  await pool.query(`grant create on database ${database} to ${name}`);
  try {
    const url = new URL(home.adminUrl);
    [url.username, url.password] = [name, "steward"];
    const opened = await openMessaging({ url: url.href, schema: name });
    await opened.database.transaction((tx) => publish(tx, [closing("a")]));
    await opened.close();
  } finally {
    await pool.query(`drop owned by ${name} cascade`);
    await pool.query(`drop role if exists ${name}_app`);
    await pool.query(`drop role ${name}`);
  }
});

test("opening again finds everything there and goes on", async () => {
  listen();
  await messaging.database.transaction((tx) => publish(tx, [closing("a")]));
  await expect.poll(() => heard.length).toBe(1);
  await messaging.close();
  messaging = await openMessaging({
    url: home.adminUrl,
    schema: "shop",
    migrations: new URL("./accounts-migrations/", import.meta.url),
  });
  listen();
  await messaging.database.transaction((tx) => publish(tx, [closing("b")]));
  await expect.poll(() => heard.map(({ key }) => key)).toEqual(["a", "b"]);
});

test("a fault is told as a process warning where nobody asked for telemetry", async () => {
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  messaging.consume(
    [
      consumer("shop.fail", {
        on: closed,
        in: "each",
        concurrency: 1,
        call: async () => {
          throw new Error("nobody at home");
        },
      }),
    ],
    { retry: { attempts: 1, firstDelayMs: 1 } },
  );
  await messaging.database.transaction((tx) => publish(tx, [closing("a")]));
  expect(await warned).toMatchObject({ name: "MessagingWarning", message: expect.stringContaining("nobody at home") });
});
