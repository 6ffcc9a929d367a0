/** Holds that buyers take before there is an order, and units that have names. */

import { stockRejected, stockReserved } from "@onsale/contracts/inventory";
import { orderAuthorised, orderCancelled, orderReturned } from "@onsale/contracts/orders";
import { later } from "@onsale/contracts/time";
import { type Database, databaseNow, instant, sql, text } from "@onsale/postgres";
import { eventOf, readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { expireHolds } from "../src/expire-holds.ts";
import { giveUpHold } from "../src/give-up-hold.ts";
import { limitBuyers } from "../src/limit-buyers.ts";
import { nameUnits } from "../src/name-units.ts";
import { buyerHold } from "../src/store/allocation.ts";
import { listUnits } from "../src/store/unit.ts";
import { type HoldRequest, type HoldsAnswer, takeHolds } from "../src/take-holds.ts";
import {
  books,
  buyerId,
  content,
  hear,
  orderId,
  placed,
  ports,
  receive,
  holdRequest as request,
  returnId,
  states,
  told,
} from "./books.ts";

let own: TestDatabase;
let shop: Database;
beforeEach(async () => {
  own = await testDatabase(content);
  shop = own.open("inventory");
});
afterEach(() => own.close());

const cause = { correlationId: "a-test" };

const take = (...requests: HoldRequest[]) => shop.transaction((tx) => takeHolds(tx, requests, ports()));

/** The ids of what one buyer was given. */
async function held(...wanted: Parameters<typeof request>): Promise<HoldsAnswer["holdIds"]> {
  const [outcome] = await take(request(...wanted));
  if (outcome?.kind !== "held") throw new Error(`Nothing was held: ${JSON.stringify(outcome)}`);
  return outcome.answer.holdIds;
}
const giveUp = (holdId: string, buyer: number) =>
  shop.transaction((tx) => giveUpHold(tx, { holdId, buyerId: buyerId(buyer), cause }));
const bringing = async (number: number, lines: Record<string, number>, holdIds: readonly string[], buyer = number) => {
  const event = placed(number, lines, buyer);
  return { ...event, time: await databaseNow(shop), data: { ...event.data, holdIds: [...holdIds] } };
};
const reserve = async (...orders: Awaited<ReturnType<typeof bringing>>[]) => hear(shop, "reserve-stock", orders);
const stateOf = async (holdId: string) => (await buyerHold(shop, holdId))?.state;
const name = (...names: string[]) =>
  shop.transaction((tx) =>
    nameUnits(tx, { sku: "hall", names, receiptNumber: null, receivedBy: buyerId(0), cause }, ports()),
  );
const seats = async () =>
  Object.fromEntries((await listUnits(shop, "hall", 0, 100)).map(({ unit, state }) => [unit, state]));

const ageSql = sql("test.age-buyers-holds", { takes: [text], gives: {} })`
  update inventory.allocation set expires_at = clock_timestamp() - $1::interval where kind = 'HOLD'`;
const hearSql = sql("test.heard-orders-up-to", { takes: [instant], gives: {} })`
  insert into inventory.reader_cursor (reader, source, lane, watermark, system_identifier)
  values ('inventory', 'orders', 'online', $1, 1)`;
const expire = async () => {
  await shop.execute(ageSql, ["1 second"]);
  await shop.execute(hearSql, [await databaseNow(shop)]);
  return await shop.transaction((tx) => expireHolds(tx, ports(), 100));
};

describe("holds before an order", () => {
  test("are all that was asked for or nothing, count in the limit, and are not told", async () => {
    await receive(shop, { mug: 5, cup: 1 });
    await shop.transaction((tx) => limitBuyers(tx, "mug", 2));
    const outcomes = await take(
      request(1, { mug: 2, cup: 1 }),
      request(2, { mug: 1, cup: 1 }),
      request(1, { mug: 1 }, "another"),
      request(3, { plate: 1 }),
    );
    expect(outcomes).toMatchObject([
      { kind: "held", answer: { holds: [{ sku: "mug", quantity: 2 }, { sku: "cup" }] } },
      { kind: "refused", reason: "SOLD_OUT", skus: ["cup"] },
      { kind: "refused", reason: "LIMIT_PER_BUYER", skus: ["mug"] },
      { kind: "refused", reason: "UNKNOWN_SKU", skus: ["plate"] },
    ]);
    expect(await books(shop)).toEqual({ cup: [1, 1, 0], mug: [5, 2, 0] });
    expect(await told(shop)).toEqual(["shelf.refilled mug", "shelf.refilled cup", "shelf.emptied cup"]);
  });

  test("are taken once per key, in one batch and over two; a refusal spends no key", async () => {
    await receive(shop, { mug: 2 });
    const [first, twin] = await take(request(1, { mug: 1 }), request(1, { mug: 1 }));
    expect(twin).toEqual({ ...first, replayed: true });
    expect(await take(request(1, { mug: 1 }), request(1, { mug: 2 }))).toEqual([
      { ...first, replayed: true },
      { kind: "key-reused" },
    ]);
    const tooMany = [request(2, { mug: 2 }), request(2, { mug: 2 })];
    expect(await take(...tooMany)).toMatchObject([{ kind: "refused" }, { kind: "refused" }]);
    await receive(shop, { mug: 1 });
    expect(await take(request(2, { mug: 2 }))).toMatchObject([{ kind: "held", replayed: false }]);
    expect(await books(shop)).toEqual({ mug: [3, 3, 0] });
  });

  test("are given up by their buyer alone, once, and the units are for sale again", async () => {
    await receive(shop, { mug: 1 });
    const [holdId = ""] = await held(1, { mug: 1 });
    expect(await giveUp(holdId, 2)).toBe("not-found");
    expect(await giveUp(orderId(1), 1)).toBe("not-found");
    expect([await giveUp(holdId, 1), await giveUp(holdId, 1)]).toEqual(["given-up", "given-up"]);
    expect(await books(shop)).toEqual({ mug: [1, 0, 0] });
    expect(await told(shop)).toEqual(["shelf.refilled mug", "shelf.emptied mug", "shelf.refilled mug"]);
  });

  test("end by themselves, and an order that comes after that is refused", async () => {
    await receive(shop, { mug: 1 });
    const [holdId = ""] = await held(1, { mug: 1 });
    expect(await expire()).toBe(1);
    expect(await stateOf(holdId)).toBe("EXPIRED");
    await reserve(await bringing(1, { mug: 1 }, [holdId]));
    expect(await readOutbox(shop, stockRejected)).toMatchObject([{ data: { reason: "HOLD_EXPIRED", skus: ["mug"] } }]);
    expect(await books(shop)).toEqual({ mug: [1, 0, 0] });
  });
});

describe("an order that brings holds", () => {
  test("makes them its own, pinned until its own bound, and no unit moves", async () => {
    await receive(shop, { mug: 2, cup: 1 });
    const [holdId = ""] = await held(1, { mug: 2 });
    await reserve(await bringing(1, { mug: 2, cup: 1 }, [holdId]));
    expect(await stateOf(holdId)).toBe("ATTACHED");
    expect(await books(shop)).toEqual({ cup: [1, 1, 0], mug: [2, 2, 0] });
    const [reserved] = await readOutbox(shop, stockReserved);
    expect(reserved?.data).toMatchObject({ holds: [{ holdId, sku: "mug", units: 2 }, { sku: "cup" }] });
    expect(await expire(), "its own time does not count any more").toBe(0);
    expect(await giveUp(holdId, 1)).toBe("attached");
    await hear(shop, "confirm-holds", [
      eventOf(orderAuthorised, { orderId: orderId(1) }, { sequence: 3, time: await databaseNow(shop) }),
    ]);
    expect(await books(shop)).toEqual({ cup: [1, 0, 1], mug: [2, 0, 2] });
    await hear(shop, "release-holds", [eventOf(orderCancelled, { orderId: orderId(1) }, { sequence: 9 })]);
    expect(await books(shop)).toEqual({ cup: [1, 0, 0], mug: [2, 0, 0] });
  });

  test("that was placed in time has them though it is heard late", async () => {
    await receive(shop, { mug: 1 });
    const [holdId = ""] = await held(1, { mug: 1 });
    const order = await bringing(1, { mug: 1 }, [holdId]);
    await shop.execute(ageSql, ["1 second"]);
    await reserve({ ...order, time: later(order.time, -5_000) });
    expect(await states(shop)).toEqual({ 1: "HELD" });
  });

  test("is refused with another person's hold, and with one of more than it orders; the hold stays", async () => {
    await receive(shop, { mug: 2 });
    const [holdId = ""] = await held(1, { mug: 2 });
    await reserve(await bringing(1, { mug: 2 }, [holdId], 2), await bringing(2, { mug: 1 }, [holdId], 1));
    const rejected = await readOutbox(shop, stockRejected);
    expect(rejected.map(({ data }) => data)).toMatchObject([{ reason: "HOLD_EXPIRED" }, { reason: "HOLD_MISMATCH" }]);
    expect(await stateOf(holdId)).toBe("HELD");
  });

  test("races another order, a change of mind and the clock for its hold: one of them wins", async () => {
    await receive(shop, { mug: 9 });
    const other = own.open("inventory");
    for (const number of [1, 2, 3]) {
      const [holdId = ""] = await held(1, { mug: 1 }, `key-${number}`);
      const orders = [
        await bringing(number, { mug: 1 }, [holdId], 1),
        await bringing(number + 10, { mug: 1 }, [holdId], 1),
      ];
      const [first, second] = orders;
      if (!first || !second) throw new Error("There are two orders.");
      await Promise.all([
        hear(shop, "reserve-stock", [first]),
        hear(other, "reserve-stock", [second]),
        giveUp(holdId, 1),
        ...(number === 3 ? [expire()] : []),
      ]);
      const all = await states(shop);
      const winners = [all[number], all[number + 10]].filter((state) => state === "HELD");
      expect(winners.length).toBe((await stateOf(holdId)) === "ATTACHED" ? 1 : 0);
      await books(shop);
    }
  });
});

describe("units that have names", () => {
  beforeEach(async () => {
    await name("A-1", "A-2", "A-3", "A-10");
  });

  test("a hundred buyers for one seat: one has it, and the others are told which is taken", async () => {
    const crowds = Array.from({ length: 4 }, (_, crowd) =>
      Array.from({ length: 25 }, (_, index) => request(crowd * 25 + index + 1, { hall: ["A-2"] })),
    );
    const outcomes = (await Promise.all(crowds.map((crowd) => take(...crowd)))).flat();
    expect(outcomes.filter(({ kind }) => kind === "held")).toHaveLength(1);
    for (const outcome of outcomes.filter(({ kind }) => kind === "refused"))
      expect(outcome).toMatchObject({ reason: "UNITS_TAKEN", units: [{ sku: "hall", unit: "A-2" }] });
    expect(await seats()).toEqual({ "A-1": "FREE", "A-2": "HELD", "A-3": "FREE", "A-10": "FREE" });
    expect(await books(shop)).toEqual({ hall: [4, 1, 0] });
  });

  test("are sold, come back the last first, and are free again when their order is cancelled", async () => {
    const [holdId = ""] = await held(1, { hall: ["A-3", "A-10"] });
    await reserve(await bringing(1, { hall: 2 }, [holdId]));
    await hear(shop, "confirm-holds", [
      eventOf(orderAuthorised, { orderId: orderId(1) }, { sequence: 3, time: await databaseNow(shop) }),
    ]);
    expect(await seats()).toMatchObject({ "A-3": "SOLD", "A-10": "SOLD" });
    const lines = [{ sku: "hall", units: 1 }];
    await hear(shop, "restock-returns", [
      eventOf(orderReturned, { orderId: orderId(1), returnId: returnId(1), lines }, { sequence: 6 }),
    ]);
    expect(await seats()).toMatchObject({ "A-3": "SOLD", "A-10": "FREE" });
    await hear(shop, "release-holds", [eventOf(orderCancelled, { orderId: orderId(1) }, { sequence: 9 })]);
    expect(Object.values(await seats())).toEqual(["FREE", "FREE", "FREE", "FREE"]);
    expect(await books(shop)).toEqual({ hall: [4, 0, 0] });
  });

  test("one that comes back damaged is gone, and nobody can have it any more", async () => {
    const [holdId = ""] = await held(1, { hall: ["A-3", "A-10"] });
    await reserve(await bringing(1, { hall: 2 }, [holdId]));
    await hear(shop, "confirm-holds", [
      eventOf(orderAuthorised, { orderId: orderId(1) }, { sequence: 3, time: await databaseNow(shop) }),
    ]);
    const lines = [{ sku: "hall", units: 1, damage: "QUARANTINED" as const }];
    await hear(shop, "restock-returns", [
      eventOf(orderReturned, { orderId: orderId(1), returnId: returnId(1), lines }, { sequence: 6 }),
    ]);
    await hear(shop, "release-holds", [eventOf(orderCancelled, { orderId: orderId(1) }, { sequence: 9 })]);
    expect(await seats()).toEqual({ "A-1": "FREE", "A-2": "FREE", "A-3": "FREE", "A-10": "GONE" });
    expect(await books(shop)).toEqual({ hall: [3, 0, 0] });
    expect(await take(request(2, { hall: ["A-10"] }))).toMatchObject([{ kind: "refused", reason: "UNITS_TAKEN" }]);
  });

  test("who names none gets the first that are free; when all are taken the hall is sold out", async () => {
    await held(1, { hall: ["A-1"] });
    await reserve(
      await bringing(1, { hall: 2 }, []),
      await bringing(2, { hall: 2 }, []),
      await bringing(3, { hall: 1 }, []),
    );
    expect(await states(shop)).toEqual({ 1: "HELD", 2: "REFUSED", 3: "HELD" });
    expect(Object.values(await seats())).toEqual(["HELD", "HELD", "HELD", "HELD"]);
    expect(await told(shop)).toContain("shelf.emptied hall");
    expect(await expire()).toBe(1);
    expect(await seats()).toMatchObject({ "A-1": "FREE", "A-2": "HELD" });
    await books(shop);
  });

  test("a name is there once, and units without one don't mix with them", async () => {
    expect(await name("B-1", "A-1")).toEqual({ kind: "units-exist", names: ["A-1"] });
  });
});
