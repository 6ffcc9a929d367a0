import type { Database } from "@onsale/postgres";
import { type TestDatabase, testDatabase, waitFor } from "@onsale/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LiveHistory } from "../src/live-history.ts";
import { content, hearAll, placeOne, sell, toConfirmed } from "./shop.ts";

let own: TestDatabase;
let shop: Database;
beforeEach(async () => {
  own = await testDatabase(content);
  shop = own.open("orders");
  await sell(shop);
});
afterEach(() => own.close());

/** Counts the statements that a database is asked. */
function counting(database: Database): { database: Database; reads: () => number } {
  let reads = 0;
  const query: Database["query"] = (statement, parameters) => {
    reads++;
    return database.query(statement, parameters);
  };
  return { database: { ...database, query }, reads: () => reads };
}

const forEver = () => new AbortController();
async function collect(history: LiveHistory, orderId: string, signal = forEver().signal): Promise<string[]> {
  const seen: string[] = [];
  for await (const { version, status } of history.follow(orderId, 0, signal)) seen.push(`${version} ${status}`);
  return seen;
}
const whole = ["1 PENDING", "2 PENDING", "3 PENDING", "4 PENDING", "5 CONFIRMED"];

test("what this process does shows without a poll", async () => {
  const history = new LiveHistory(shop, { pollMs: 3_600_000 });
  const orderId = await placeOne(shop, 1);
  const [seen] = await Promise.all([collect(history, orderId), hearAll(shop, orderId, ...toConfirmed(510))]);
  expect(seen).toEqual(whole);
});

test("what another process does shows by the poll", async () => {
  // The same database under another name: nobody rings for it.
  const elsewhere = own.open("orders", { url: (await own.tcpUrl()).replace("127.0.0.1", "localhost") });
  expect(elsewhere.home).not.toEqual(shop.home);
  const history = new LiveHistory(shop, { pollMs: 20 });
  const orderId = await placeOne(elsewhere, 1);
  const [seen] = await Promise.all([collect(history, orderId), hearAll(elsewhere, orderId, ...toConfirmed(510))]);
  expect(seen).toEqual(whole);
});

test("a hundred watchers of as many orders cost one statement a poll, and nobody watching costs none", async () => {
  const counted = counting(shop);
  const history = new LiveHistory(counted.database, { pollMs: 10 });
  const orderIds = await Promise.all(Array.from({ length: 100 }, (_, index) => placeOne(shop, index)));
  const leaving = forEver();
  const watching = orderIds.map((orderId) => collect(history, orderId, leaving.signal));
  const began = counted.reads();
  await waitFor(() => counted.reads() >= began + 3);
  // Each of those reads was for all of them: a hundred separate ones would have come first.
  expect(counted.reads()).toBeLessThan(began + 50);
  leaving.abort();
  expect((await Promise.all(watching)).every((seen) => seen.length === 1)).toBe(true);
  const left = counted.reads();
  await placeOne(shop, 1_000);
  expect(counted.reads()).toBe(left);
});

test("watchers wait through a database that is away for a moment", async () => {
  let away = true;
  const query: Database["query"] = (statement, parameters) => {
    if (!away) return shop.query(statement, parameters);
    away = false;
    return Promise.reject(new Error("away"));
  };
  const history = new LiveHistory({ ...shop, query }, { pollMs: 5 });
  const orderId = await placeOne(shop, 1);
  await hearAll(shop, orderId, "rejected");
  expect(await collect(history, orderId)).toEqual(["1 PENDING", "2 REJECTED"]);
});

test("two who watch one order from different points each get what they miss", async () => {
  const history = new LiveHistory(shop, { pollMs: 5 });
  const orderId = await placeOne(shop, 1);
  await hearAll(shop, orderId, "reserved");
  const late = (async () => {
    const seen: number[] = [];
    for await (const { version } of history.follow(orderId, 1, forEver().signal)) seen.push(version);
    return seen;
  })();
  const [early, rest] = await Promise.all([
    collect(history, orderId),
    late,
    hearAll(shop, orderId, "authorised", "confirmed", ["captured", { amountMinor: 510 }]),
  ]);
  expect(early).toEqual(whole);
  expect(rest).toEqual([2, 3, 4, 5]);
});
