import { type Database, databaseNow, sql, uuid } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cancelOrder } from "../src/cancel-order.ts";
import { endOverdueOrders } from "../src/end-overdue-orders.ts";
import { placeOrders } from "../src/place-orders.ts";
import { rebuild } from "../src/rebuild.ts";
import { returnLines } from "../src/return-lines.ts";
import { lockOrders } from "../src/store/order.ts";
import { readHistory } from "../src/store/order-history.ts";
import {
  allWords,
  content,
  deliverTo,
  faultsIn,
  heard,
  impatient,
  personId,
  ports,
  sell,
  told,
  type Word,
  wish,
  withBoth,
  withPoints,
} from "./shop.ts";

let own: TestDatabase;
let shop: Database;
beforeAll(async () => {
  own = await testDatabase(content);
  shop = own.open("orders");
  await sell(shop);
});
afterAll(async () => {
  expect(await faultsIn(shop)).toEqual([]);
  await own.close();
});

const orderCount = 60;
const payments = [{}, withPoints, withBoth(200)];
/** Most of what happens is the next good answer, so that many orders come far. */
const usual: readonly Word[] = [
  "reserved",
  "pointsHeld",
  "authorised",
  "confirmed",
  "captured",
  "reversed",
  "pointsReleased",
];
const cause = { correlationId: "c", causationId: "a-click" };

/** Gives each order one word of a random script, all in one batch; now and then somebody cancels, returns, or is late. */
async function live(ids: readonly string[], pick: (below: number) => number): Promise<void> {
  for (let round = 0; round < 25; round++) {
    const words = ids.map((orderId) => {
      const word = pick(10) < 8 ? usual[pick(usual.length)] : allWords[pick(allWords.length)];
      const data = word === "captured" ? { amountMinor: 310 } : {};
      return { ...told(word ?? "reserved", orderId, data), sequence: round + 1, id: `${round}-${orderId}` };
    });
    await deliverTo(shop, "advance", words);
    const [number, orderId = ""] = [pick(ids.length), ids[pick(ids.length)]];
    if (round % 2 === 0)
      await cancelOrder(shop, { orderId: ids[number] ?? "", buyerId: personId(number + 1), cause }, ports());
    const back = { orderId, buyerId: personId(ids.indexOf(orderId) + 1), lines: [{ sku: "mug", quantity: 1 }], cause };
    const kind = pick(2) === 0 ? "RETURN" : "CANCELLATION";
    await shop.transaction((tx) => returnLines(tx, { ...back, kind }, ports()));
    if (pick(8) === 0) await passTime();
  }
}

async function passTime(): Promise<void> {
  for (const source of ["inventory", "payments", "wallet"]) await heard(shop, source, await databaseNow(shop));
  await endOverdueOrders(shop, ports(impatient), new AbortController().signal);
}

const allOrdersSql = sql("test.all-orders", { takes: [], gives: { orderId: uuid } })`
  select order_id as "orderId" from orders.orders order by arrival`;

test("whatever happened to orders, their histories alone give them as they stand", async () => {
  const wishes = Array.from({ length: orderCount }, (_, index) => wish(index + 1, payments[index % payments.length]));
  const outcomes = await shop.transaction((tx) => placeOrders(tx, wishes, ports(impatient)));
  const ids = outcomes.flatMap((outcome) => (outcome.kind === "accepted" ? outcome.answer.orderId : []));
  // One sample of one seed: the script is as random as it is the same each time.
  const [chance = []] = fc.sample(fc.array(fc.nat(), { minLength: 8_000, maxLength: 8_000 }), { seed: 5, numRuns: 1 });
  let at = 0;
  await live(ids, (below) => (chance[at++ % chance.length] ?? 0) % below);

  const stored = await shop.transaction((tx) => lockOrders(tx, ids));
  const entries = await readHistory(
    shop,
    ids.map((orderId) => ({ orderId, after: 0 })),
    1_000,
  );
  const histories = Map.groupBy(entries, ({ orderId }) => orderId);
  for (const { orderId } of await shop.query(allOrdersSql, [])) {
    expect(rebuild(histories.get(orderId) ?? [])).toEqual(stored.get(orderId));
  }
  // A run in which one end never came would have proved nothing about it.
  expect(new Set([...stored.values()].map(({ status }) => status))).toEqual(
    new Set(["PENDING", "CONFIRMED", "REJECTED", "CANCELLED"]),
  );
  expect([...stored.values()].some(({ balance }) => balance.refundedPointsMinor > 0)).toBe(true);
  const [some = []] = histories.values();
  expect(() => rebuild(some.slice(1))).toThrow("begins with");
  expect(() => rebuild(some.filter(({ version }) => version !== 2))).toThrow("can't follow");
});
