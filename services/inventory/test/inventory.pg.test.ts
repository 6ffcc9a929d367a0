import { shelfEmptied, stockRejected, stockReserved } from "@onsale/contracts/inventory";
import { orderAuthorised, orderCancelled, orderRejected, orderReturned } from "@onsale/contracts/orders";
import { paymentAuthorised, paymentCaptureRefused, paymentDeclined } from "@onsale/contracts/payments";
import { later } from "@onsale/contracts/time";
import { pointsHeld, pointsRefused } from "@onsale/contracts/wallet";
import {
  boolean,
  type Database,
  databaseNow,
  instant,
  isLockTimeout,
  sql,
  sqlState,
  text,
  uuid,
} from "@onsale/postgres";
import { eventOf, readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { adjustStock } from "../src/adjust-stock.ts";
import type { AdjustmentReason } from "../src/adjustment.ts";
import { expireHolds } from "../src/expire-holds.ts";
import { inspectReceipt } from "../src/inspect-receipt.ts";
import { jobs } from "../src/jobs.ts";
import { limitBuyers } from "../src/limit-buyers.ts";
import { receiveGoods } from "../src/receive-goods.ts";
import { reportFairness } from "../src/report-fairness.ts";
import { saveLocation, stockByPlace } from "../src/store/place.ts";
import { stockOf } from "../src/store/stock.ts";
import { receiveTransfer, sendGoods } from "../src/transfer-goods.ts";
import { books, buyerId, content, hear, orderId, placed, ports, receive, returnId, states, told } from "./books.ts";

let own: TestDatabase;
let shop: Database;
beforeEach(async () => {
  own = await testDatabase(content);
  shop = own.open("inventory");
});
afterEach(() => own.close());

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const reserve = (...orders: ReturnType<typeof placed>[]) => hear(shop, "reserve-stock", orders);
const authorised = async (number: number, afterMs = 0) =>
  eventOf(
    orderAuthorised,
    { orderId: orderId(number) },
    { sequence: 3, time: later(await databaseNow(shop), afterMs) },
  );
const cancelled = (number: number) => eventOf(orderCancelled, { orderId: orderId(number) }, { sequence: 9 });
const returned = (number: number, back: number, lines: Record<string, number>, sequence = 6 + back) =>
  eventOf(
    orderReturned,
    {
      orderId: orderId(number),
      returnId: returnId(back),
      lines: Object.entries(lines).map(([sku, units]) => ({ sku, units })),
    },
    { sequence },
  );
const minutes = 60_000;

describe("reserving", () => {
  test("five hundred orders in one batch, fifty units: the first fifty by arrival hold them", async () => {
    await receive(shop, { mug: 50 });
    await reserve(
      ...range(1, 500)
        .map((number) => placed(number, { mug: 1 }))
        .reverse(),
    );
    expect(await books(shop)).toEqual({ mug: [50, 50, 0] });
    const reserved = await readOutbox(shop, stockReserved);
    expect(reserved.map(({ key }) => key).sort()).toEqual(range(1, 50).map(orderId));
    expect(await readOutbox(shop, stockRejected)).toHaveLength(450);
    expect((await readOutbox(shop, shelfEmptied)).map(({ key }) => key)).toEqual(["mug"]);
  });

  test("the same batch delivered twice holds once, even past the inbox", async () => {
    await receive(shop, { mug: 10, cup: 10 });
    const batch = range(1, 5).map((number) => placed(number, { mug: 1, cup: 2 }));
    await reserve(...batch);
    await reserve(...batch);
    // Redelivered by an operator, under other sequences than the inbox has seen.
    await reserve(...batch.map((event) => ({ ...event, sequence: 7 })));
    expect(await books(shop)).toEqual({ mug: [10, 5, 0], cup: [10, 10, 0] });
    expect(await told(shop)).toEqual([
      "shelf.refilled mug",
      "shelf.refilled cup",
      ...range(1, 5).map((number) => `stock.reserved ${number}`),
      "shelf.emptied cup",
    ]);
  });

  test("an order is held as a whole or not at all", async () => {
    await receive(shop, { mug: 10, cup: 1 });
    await reserve(placed(1, { mug: 2, cup: 2 }), placed(2, { mug: 2, nothing: 1 }), placed(3, { mug: 2, cup: 1 }));
    expect(await books(shop)).toEqual({ cup: [1, 1, 0], mug: [10, 2, 0] });
    expect((await readOutbox(shop, stockRejected)).map(({ data }) => data)).toEqual([
      { orderId: orderId(1), reason: "SOLD_OUT", skus: ["cup"] },
      { orderId: orderId(2), reason: "UNKNOWN_SKU", skus: ["nothing"] },
    ]);
  });

  test("batches over crossed SKUs both finish, and sell no unit twice", async () => {
    const skus = range(1, 40).map((number) => `sku-${number}`);
    await receive(shop, Object.fromEntries(skus.map((sku) => [sku, 6])));
    const other = own.open("inventory");
    const crossed = (first: number, order: string[]) =>
      range(first, first + 5).map((number) => placed(number, Object.fromEntries(order.map((sku) => [sku, 1]))));
    await Promise.all([
      hear(shop, "reserve-stock", crossed(1, skus)),
      hear(other, "reserve-stock", crossed(101, [...skus].reverse())),
    ]);
    expect(await books(shop)).toEqual(Object.fromEntries(skus.map((sku) => [sku, [6, 6, 0]])));
  });

  test("two processes that decide the same batch at once hold it once", async () => {
    await receive(shop, { mug: 100 });
    const batch = range(1, 20).map((number) => placed(number, { mug: 1 }));
    const other = own.open("inventory");
    await Promise.all([hear(shop, "reserve-stock", batch), hear(other, "reserve-stock", batch)]);
    expect(await books(shop)).toEqual({ mug: [100, 20, 0] });
  });

  test("a buyer's limit holds over batches, and is given back with the units", async () => {
    await receive(shop, { mug: 100 });
    await shop.transaction((tx) => limitBuyers(tx, "mug", 2));
    await reserve(placed(1, { mug: 1 }, 7), placed(2, { mug: 2 }, 7));
    await reserve(placed(3, { mug: 1 }, 7), placed(4, { mug: 1 }, 7), placed(5, { mug: 2 }, 8));
    expect(await states(shop)).toEqual({ 1: "HELD", 2: "REFUSED", 3: "HELD", 4: "REFUSED", 5: "HELD" });
    await hear(shop, "release-holds", [cancelled(1)]);
    await reserve(placed(6, { mug: 1 }, 7), placed(7, { mug: 1 }, 7));
    expect(await states(shop)).toMatchObject({ 1: "RELEASED", 6: "HELD", 7: "REFUSED" });
  });

  test("what was taken before there was a limit gives nothing back of it", async () => {
    await receive(shop, { mug: 100 });
    await reserve(placed(1, { mug: 5 }, 7));
    await shop.transaction((tx) => limitBuyers(tx, "mug", 2));
    await reserve(placed(2, { mug: 2 }, 7));
    await hear(shop, "release-holds", [cancelled(1)]);
    await reserve(placed(3, { mug: 1 }, 7));
    expect(await states(shop)).toEqual({ 1: "RELEASED", 2: "HELD", 3: "REFUSED" });
  });
});

describe("fairness", () => {
  const report = () => shop.transaction((tx) => reportFairness(tx, "mug"));

  test("a crowd in the order of its tickets: nobody is overtaken", async () => {
    await receive(shop, { mug: 5 });
    await reserve(...range(1, 8).map((number) => placed(number, { mug: 1 })));
    expect(await report()).toMatchObject({
      ...{ arrivals: 8, granted: 5, refused: 3, inversions: 0, wronglyRefused: 0 },
      ...{ firstRefusedArrival: 6, lastGrantedArrival: 5, compared: 0, complete: true },
    });
  });

  test("units that came back go to who comes then; a batch that was read too late was overtaken", async () => {
    await receive(shop, { mug: 2 });
    await reserve(placed(1, { mug: 2 }), placed(2, { mug: 1 }));
    await hear(shop, "release-holds", [cancelled(1)]);
    await reserve(placed(5, { mug: 1 }), placed(6, { mug: 1 }));
    expect(await report()).toMatchObject({ inversions: 0, compared: 3 });
    await reserve(placed(4, { mug: 1 }));
    expect(await report()).toMatchObject({ granted: 3, refused: 2, inversions: 2, wronglyRefused: 0 });
  });
});

describe("confirming", () => {
  test("held units are sold", async () => {
    await receive(shop, { mug: 10 });
    await reserve(placed(1, { mug: 3 }));
    await hear(shop, "confirm-holds", [await authorised(1)]);
    expect(await books(shop)).toEqual({ mug: [10, 0, 3] });
    expect(await told(shop)).toEqual(["shelf.refilled mug", "stock.reserved 1", "stock.confirmed 1"]);
  });

  test("an order that is authorised after its time lapses, and its units are free", async () => {
    await receive(shop, { mug: 3 });
    await reserve(placed(1, { mug: 3 }));
    await hear(shop, "confirm-holds", [await authorised(1, 16 * minutes)]);
    await reserve(placed(2, { mug: 3 }));
    expect(await states(shop)).toEqual({ 1: "LAPSED", 2: "HELD" });
    expect(await told(shop)).toEqual([
      "shelf.refilled mug",
      "stock.reserved 1",
      "shelf.emptied mug",
      "stock.lapsed 1",
      "shelf.refilled mug",
      "stock.reserved 2",
      "shelf.emptied mug",
    ]);
  });

  test("an order that was refused lapses with nothing to give back; to one that was released before it is no news", async () => {
    await receive(shop, { mug: 1 });
    await reserve(placed(1, { mug: 1 }), placed(2, { mug: 1 }));
    await hear(shop, "release-holds", [cancelled(1)]);
    const late = { ...(await authorised(1)), sequence: 10 };
    await hear(shop, "confirm-holds", [late, await authorised(2), await authorised(3)]);
    expect(await states(shop)).toEqual({ 1: "RELEASED", 2: "LAPSED" });
    expect(await books(shop)).toEqual({ mug: [1, 0, 0] });
  });

  test("where nobody leads: what pays for the whole order confirms its holds, what can't releases them", async () => {
    await receive(shop, { mug: 10 });
    await reserve(placed(1, { mug: 1 }), placed(2, { mug: 1 }), placed(3, { mug: 1 }), placed(4, { mug: 1 }));
    const time = await databaseNow(shop);
    const paid = eventOf(paymentAuthorised, { orderId: orderId(1) }, { sequence: 1, time, source: "payments" });
    const held = (number: number, method: "wallet" | "split") => {
      const dues = { buyerId: orderId(9), method, cardMinor: 0, pointsMinor: 5, currency: "GBP" };
      return eventOf(pointsHeld, { orderId: orderId(number), dues }, { sequence: 1, time, source: "wallet" });
    };
    await hear(shop, "confirm-holds", [paid, held(2, "wallet"), held(3, "split")]);
    expect(await states(shop)).toEqual({ 1: "SOLD", 2: "SOLD", 3: "HELD", 4: "HELD" });
    await hear(shop, "release-holds", [
      eventOf(paymentCaptureRefused, { orderId: orderId(1) }, { sequence: 2, source: "payments" }),
      eventOf(paymentDeclined, { orderId: orderId(3) }, { sequence: 1, source: "payments" }),
      eventOf(pointsRefused, { orderId: orderId(4) }, { sequence: 1, source: "wallet" }),
    ]);
    await hear(shop, "release-holds", [cancelled(1), cancelled(3)]);
    expect(await states(shop)).toEqual({ 1: "RELEASED", 2: "SOLD", 3: "RELEASED", 4: "RELEASED" });
    expect(await books(shop)).toEqual({ mug: [10, 0, 1] });
  });

  test("where nobody leads, nothing expires until everybody who may have paid was heard", async () => {
    await receive(shop, { mug: 1 });
    await reserve(placed(1, { mug: 1 }));
    await shop.execute(heardSql, [await databaseNow(shop)]);
    await shop.execute(agedSql, ["1 second"]);
    const expire = (saga: "orchestrated" | "choreographed") =>
      shop.transaction((tx) => expireHolds(tx, { ...ports(), saga }, 100));
    expect(await expire("choreographed")).toBe(0);
    expect(await expire("orchestrated")).toBe(1);
  });

  test("confirmed twice is sold once", async () => {
    await receive(shop, { mug: 2 });
    await reserve(placed(1, { mug: 1 }));
    const event = await authorised(1);
    await hear(shop, "confirm-holds", [event]);
    await hear(shop, "confirm-holds", [{ ...event, sequence: 8 }]);
    expect(await books(shop)).toEqual({ mug: [2, 0, 1] });
    expect(await told(shop)).toEqual(["shelf.refilled mug", "stock.reserved 1", "stock.confirmed 1"]);
  });
});

describe("releasing", () => {
  test("held and sold units go back, once", async () => {
    await receive(shop, { mug: 5 });
    await reserve(placed(1, { mug: 2 }), placed(2, { mug: 3 }));
    await hear(shop, "confirm-holds", [await authorised(2)]);
    const rejected = eventOf(orderRejected, { orderId: orderId(1), reason: "PAYMENT_DECLINED" }, { sequence: 5 });
    await hear(shop, "release-holds", [rejected, cancelled(2)]);
    await hear(shop, "release-holds", [
      { ...rejected, sequence: 20 },
      { ...cancelled(2), sequence: 20 },
    ]);
    expect(await books(shop)).toEqual({ mug: [5, 0, 0] });
    expect(await told(shop)).toEqual([
      "shelf.refilled mug",
      "stock.reserved 1",
      "stock.reserved 2",
      "shelf.emptied mug",
      "stock.confirmed 2",
      "stock.released 1",
      "stock.released 2",
      "shelf.refilled mug",
    ]);
  });

  test("a reserve that comes after the release holds nothing", async () => {
    await receive(shop, { mug: 5 });
    await hear(shop, "release-holds", [cancelled(1)]);
    await reserve({ ...placed(1, { mug: 2 }), sequence: 10 });
    expect(await books(shop)).toEqual({ mug: [5, 0, 0] });
    expect(await states(shop)).toEqual({ 1: "RELEASED" });
    expect(await told(shop)).toEqual(["shelf.refilled mug", "stock.released 1"]);
  });

  test("an order that got nothing has nothing to give back", async () => {
    await receive(shop, { mug: 1 });
    await reserve(placed(1, { mug: 2 }));
    await hear(shop, "release-holds", [cancelled(1)]);
    expect(await states(shop)).toEqual({ 1: "REFUSED" });
    expect(await told(shop)).toEqual(["shelf.refilled mug", "stock.rejected 1"]);
  });
});

describe("restocking", () => {
  beforeEach(async () => {
    await receive(shop, { mug: 5, cup: 5 });
    await reserve(placed(1, { mug: 5, cup: 2 }));
    await hear(shop, "confirm-holds", [await authorised(1)]);
  });

  test("a return is put back once, however often it is told", async () => {
    await hear(shop, "restock-returns", [returned(1, 1, { mug: 2 })]);
    await hear(shop, "restock-returns", [returned(1, 1, { mug: 2 }, 20), returned(1, 1, { mug: 2 }, 21)]);
    expect(await books(shop)).toEqual({ cup: [5, 0, 2], mug: [5, 0, 3] });
    expect((await told(shop)).slice(-3)).toEqual(["stock.confirmed 1", "stock.restocked 1", "shelf.refilled mug"]);
  });

  test("returns of one order in one batch are each told, and never put back more than it has", async () => {
    await hear(shop, "restock-returns", [returned(1, 1, { mug: 4 }), returned(1, 2, { mug: 4, cup: 1 })]);
    expect(await books(shop)).toEqual({ cup: [5, 0, 1], mug: [5, 0, 0] });
    expect((await told(shop)).filter((it) => it === "stock.restocked 1")).toHaveLength(2);
  });

  test("what came back damaged is kept apart or gone, and not for sale", async () => {
    const lines = [
      { sku: "mug", units: 1 },
      { sku: "mug", units: 2, damage: "QUARANTINED" as const },
      { sku: "mug", units: 1, damage: "WRITTEN_OFF" as const },
    ];
    const event = eventOf(orderReturned, { orderId: orderId(1), returnId: returnId(1), lines }, { sequence: 7 });
    await hear(shop, "restock-returns", [event]);
    // One of five is still sold, one is on the shelf; the other three have left what there is to sell.
    expect(await books(shop)).toEqual({ cup: [5, 0, 2], mug: [2, 0, 1] });
    expect(await stockOf(shop, "mug")).toMatchObject({ available: 1, quarantined: 2 });
    await hear(shop, "release-holds", [cancelled(1)]);
    expect(await books(shop)).toEqual({ cup: [5, 0, 0], mug: [2, 0, 0] });
  });

  test("a cancellation gives back what is left after a return, and a return after it gives back nothing", async () => {
    await hear(shop, "restock-returns", [returned(1, 1, { mug: 2 })]);
    await hear(shop, "release-holds", [cancelled(1)]);
    await hear(shop, "restock-returns", [returned(1, 2, { mug: 1 }, 12)]);
    expect(await books(shop)).toEqual({ cup: [5, 0, 0], mug: [5, 0, 0] });
  });
});

const agedSql = sql("test.age-holds", { takes: [text], gives: {} })`
  update inventory.allocation set expires_at = clock_timestamp() - $1::interval`;
const heardSql = sql("test.heard-orders", { takes: [instant], gives: {} })`
  insert into inventory.reader_cursor (reader, source, lane, watermark, system_identifier)
  values ('inventory', 'orders', 'online', $1, 1)
  on conflict (reader, source, lane, slot) do update set watermark = excluded.watermark`;
const parkSql = sql("test.park-order", { takes: [uuid], gives: {} })`
  insert into inventory.parked_key (reader, aggregate, key, source, state, attempts, next_attempt_at, error)
  values ('inventory', 'order', $1::uuid::text, 'orders', 'waiting', 1, now(), 'a test')`;

describe("expiring", () => {
  const expire = (limit = 100) => shop.transaction((tx) => expireHolds(tx, ports(), limit));

  beforeEach(async () => {
    await receive(shop, { mug: 5 });
    await reserve(...range(1, 5).map((number) => placed(number, { mug: 1 })));
    await shop.execute(heardSql, [await databaseNow(shop)]);
  });

  test("nothing is put back before its time", async () => {
    expect(await expire()).toBe(0);
    expect(await books(shop)).toEqual({ mug: [5, 5, 0] });
  });

  test("what is past its time goes back in bounded batches, and a late authorisation lapses", async () => {
    await shop.execute(agedSql, ["1 second"]);
    expect(await expire(3)).toBe(3);
    expect(await expire(3)).toBe(2);
    expect(await expire(3)).toBe(0);
    await hear(shop, "confirm-holds", [await authorised(1)]);
    expect(await books(shop)).toEqual({ mug: [5, 0, 0] });
    expect(await states(shop)).toEqual({ 1: "LAPSED", 2: "EXPIRED", 3: "EXPIRED", 4: "EXPIRED", 5: "EXPIRED" });
    // The others hear of it when they ask, or end.
    await hear(shop, "release-holds", [cancelled(1), cancelled(2)]);
    expect((await told(shop)).slice(-4)).toEqual([
      "shelf.refilled mug",
      "stock.lapsed 1",
      "stock.released 1",
      "stock.released 2",
    ]);
  });

  test("nothing expires while orders has not been heard up to its end: the authorisation may be on its way", async () => {
    await shop.execute(heardSql, [later(await databaseNow(shop), -10 * minutes)]);
    await shop.execute(agedSql, ["5 minutes"]);
    expect(await expire()).toBe(0);
    await hear(shop, "confirm-holds", [await authorised(1, -6 * minutes)]);
    expect(await states(shop)).toMatchObject({ 1: "SOLD", 2: "HELD" });
  });

  test("an order whose key is parked keeps its holds: its authorisation may wait there", async () => {
    await shop.execute(agedSql, ["1 second"]);
    await shop.execute(parkSql, [orderId(2)]);
    expect(await expire()).toBe(4);
    expect(await states(shop)).toMatchObject({ 1: "EXPIRED", 2: "HELD" });
  });

  test("the job goes on until nothing is left, however much has gathered", async () => {
    await receive(shop, { cup: 500 });
    await reserve(...range(101, 550).map((number) => placed(number, { cup: 1 })));
    // Further back than a busy machine takes since orders was heard last.
    await shop.execute(agedSql, ["5 minutes"]);
    const { signal } = new AbortController();
    const given = { ...ports(), clock: { now: () => "2026-11-21T08:00:00.000Z" } };
    for (const job of jobs)
      await job.run({ database: shop, ports: given, feeds: { passed: async () => true } }, signal);
    expect(await books(shop)).toEqual({ cup: [500, 0, 0], mug: [5, 0, 0] });
  });

  test("an order that somebody works on is left for the next run", async () => {
    await shop.execute(agedSql, ["1 second"]);
    const other = own.open("inventory");
    await other.transaction(async (tx) => {
      await tx.query(lockOneSql, [orderId(3)]);
      expect(await expire()).toBe(4);
    });
    expect(await expire()).toBe(1);
  });
});

const lockOneSql = sql("test.lock-one", { takes: [uuid], gives: { locked: boolean } })`
  select true as locked from inventory.allocation where allocation_id = $1 for update`;

describe("receiving", () => {
  const cause = { correlationId: "a-test" };
  const delivery = (units: number, receiptNumber: string | null, sku = "mug") =>
    shop.transaction((tx) =>
      receiveGoods(
        tx,
        { sku, units, location: "main", receiptNumber, inspect: false, receivedBy: buyerId(0), cause },
        ports(),
      ),
    );

  test("a purchase order delivered twice is one", async () => {
    const first = await delivery(5, "PO-1");
    const second = await delivery(5, "PO-1");
    expect(second).toEqual({ ...first, kind: "repeated" });
    expect(await books(shop)).toEqual({ mug: [5, 0, 0] });
    expect(await delivery(6, "PO-1")).toMatchObject({ kind: "number-reused" });
    expect(await delivery(6, "PO-1", "cup")).toMatchObject({ kind: "received" });
    expect(await books(shop)).toEqual({ cup: [6, 0, 0], mug: [5, 0, 0] });
  });

  test("the same purchase order from two sides at once is one", async () => {
    const kinds = await Promise.all(range(1, 4).map(() => delivery(5, "PO-1")));
    expect(kinds.map(({ kind }) => kind).sort()).toEqual(["received", "repeated", "repeated", "repeated"]);
    expect(await books(shop)).toEqual({ mug: [5, 0, 0] });
  });

  test("receipts without a number are all different, and only the first refills the shelf", async () => {
    await delivery(5, null);
    await delivery(5, null);
    expect(await books(shop)).toEqual({ mug: [10, 0, 0] });
    expect(await told(shop)).toEqual(["shelf.refilled mug"]);
  });
});

describe("inspecting", () => {
  const cause = { correlationId: "a-test" };
  const announce = async (units: number) => {
    const goods = {
      sku: "mug",
      units,
      location: "main",
      receiptNumber: null,
      inspect: true,
      receivedBy: buyerId(0),
      cause,
    };
    const received = await shop.transaction((tx) => receiveGoods(tx, goods, ports()));
    if (!("receipt" in received)) throw new Error(`The goods were refused: ${received.kind}.`);
    return received.receipt.receiptId;
  };
  const inspect = (receiptId: string, accepted: number, damaged: number) =>
    shop.transaction((tx) =>
      inspectReceipt(tx, { receiptId, accepted, damaged, note: null, inspectedBy: buyerId(0), cause }),
    );

  test("nothing is for sale before it was looked at; then what is good is, and what is damaged is kept apart", async () => {
    const receiptId = await announce(10);
    await reserve(placed(1, { mug: 1 }));
    expect(await readOutbox(shop, stockRejected)).toMatchObject([{ data: { reason: "SOLD_OUT" } }]);
    expect(await inspect(receiptId, 7, 2)).toMatchObject({ kind: "inspected" });
    expect(await stockOf(shop, "mug")).toMatchObject({ received: 7, available: 7, quarantined: 2 });
    expect(await books(shop)).toEqual({ mug: [7, 0, 0] });
    expect(await told(shop)).toEqual(["stock.rejected 1", "shelf.refilled mug"]);
  });

  test("two inspectors at once: one result counts, the same again repeats it, another contradicts it", async () => {
    const receiptId = await announce(10);
    const same = await Promise.all(range(1, 4).map(() => inspect(receiptId, 10, 0)));
    expect(same.map(({ kind }) => kind).sort()).toEqual(["inspected", "repeated", "repeated", "repeated"]);
    expect(await inspect(receiptId, 9, 1)).toEqual({ kind: "contradicted" });
    expect(await books(shop)).toEqual({ mug: [10, 0, 0] });
  });
});

describe("adjusting", () => {
  const cause = { correlationId: "a-test" };
  const adjust = (reason: AdjustmentReason, units: number) =>
    shop.transaction((tx) =>
      adjustStock(
        tx,
        { sku: "mug", location: "main", units, reason, note: null, adjustedBy: buyerId(0), cause },
        ports(),
      ),
    );

  test("what is held or sold is never taken off by hand", async () => {
    await receive(shop, { mug: 5 });
    await reserve(placed(1, { mug: 2 }), placed(2, { mug: 1 }));
    await hear(shop, "confirm-holds", [await authorised(2)]);
    expect(await adjust("COUNTED", -3)).toEqual({ kind: "too-many", there: 2 });
    expect(await adjust("COUNTED", -2)).toMatchObject({ kind: "adjusted" });
    expect(await books(shop)).toEqual({ mug: [3, 2, 1] });
  });

  test("damaged goods go into quarantine, from there back or away, and the shelf's turns are told", async () => {
    await receive(shop, { mug: 3 });
    await adjust("DAMAGED", -3);
    expect(await adjust("DISPOSED", -4)).toEqual({ kind: "too-many", there: 3 });
    await adjust("DISPOSED", -1);
    await adjust("CLEARED", 2);
    expect(await stockOf(shop, "mug")).toMatchObject({ received: 2, available: 2, quarantined: 0 });
    expect(await books(shop)).toEqual({ mug: [2, 0, 0] });
    expect(await told(shop)).toEqual(["shelf.refilled mug", "shelf.emptied mug", "shelf.refilled mug"]);
  });

  test("a buyer and a stocktaker want the last unit: one of them gets it", async () => {
    await receive(shop, { mug: 1 });
    const [, adjusted] = await Promise.all([reserve(placed(1, { mug: 1 })), adjust("LOST", -1)]);
    const [state] = Object.values(await states(shop));
    expect([
      ["HELD", "too-many"],
      ["REFUSED", "adjusted"],
    ]).toContainEqual([state, adjusted.kind]);
    await books(shop);
  });
});

describe("several locations", () => {
  const cause = { correlationId: "a-test" };
  const at = async (sku: string) =>
    Object.fromEntries(
      (await stockByPlace(shop, sku)).map(({ location, received, held, sold }) => [location, [received, held, sold]]),
    );
  const send = (units: number, from = "main", to = "north") =>
    shop.transaction((tx) =>
      sendGoods(tx, { sku: "mug", from, to, units, note: null, sentBy: buyerId(0), cause }, ports()),
    );
  const arrive = (transferId: string, units: number) =>
    shop.transaction((tx) => receiveTransfer(tx, { transferId, units, note: null, receivedBy: buyerId(0), cause }));

  beforeEach(async () => {
    await saveLocation(shop, "north", 1);
    await saveLocation(shop, "south", 2);
  });

  test("an order is served from one location where one has all, else from the fewest, and returns go where they came from", async () => {
    await receive(shop, { mug: 3 });
    await receive(shop, { mug: 4 }, "north");
    await reserve(placed(1, { mug: 4 }), placed(2, { mug: 2 }));
    expect(await at("mug")).toEqual({ main: [3, 2, 0], north: [4, 4, 0] });
    await hear(shop, "release-holds", [cancelled(1)]);
    await reserve(placed(3, { mug: 5 }));
    expect(await at("mug")).toEqual({ main: [3, 3, 0], north: [4, 4, 0] });
    expect((await readOutbox(shop, stockReserved)).at(-1)?.data).toMatchObject({ holds: [{ sku: "mug", units: 5 }] });
    await hear(shop, "confirm-holds", [await authorised(3)]);
    await hear(shop, "restock-returns", [returned(3, 1, { mug: 5 })]);
    expect(await at("mug")).toEqual({ main: [3, 2, 0], north: [4, 0, 0] });
    expect(await books(shop)).toEqual({ mug: [7, 2, 0] });
  });

  test("what was held before there was a second location goes back to where it was", async () => {
    await receive(shop, { mug: 3 });
    await reserve(placed(1, { mug: 2 }));
    await receive(shop, { mug: 1 }, "north");
    expect(await at("mug")).toEqual({ main: [3, 2, 0], north: [1, 0, 0] });
    await hear(shop, "confirm-holds", [await authorised(1)]);
    await hear(shop, "release-holds", [cancelled(1)]);
    expect(await at("mug")).toEqual({ main: [3, 0, 0], north: [1, 0, 0] });
    expect(await books(shop)).toEqual({ mug: [4, 0, 0] });
  });

  test("goods on their way are nobody's to buy, what arrives is, and the shelf's turns are told", async () => {
    await receive(shop, { mug: 3 });
    await reserve(placed(1, { mug: 1 }));
    expect(await send(3)).toEqual({ kind: "too-many", there: 2 });
    const sent = await send(2);
    if (sent.kind !== "sent") throw new Error("Nothing was sent.");
    await reserve(placed(2, { mug: 1 }));
    expect(await states(shop)).toEqual({ 1: "HELD", 2: "REFUSED" });
    const { transferId } = sent.transfer;
    const arrived = await Promise.all(range(1, 3).map(() => arrive(transferId, 1)));
    expect(arrived.map(({ kind }) => kind).sort()).toEqual(["arrived", "repeated", "repeated"]);
    expect(await arrive(transferId, 2)).toEqual({ kind: "contradicted" });
    expect(await at("mug")).toEqual({ main: [1, 1, 0], north: [1, 0, 0] });
    expect(await books(shop)).toEqual({ mug: [2, 1, 0] });
    expect((await told(shop)).filter((it) => it.startsWith("shelf"))).toEqual([
      "shelf.refilled mug",
      "shelf.emptied mug",
      "shelf.refilled mug",
    ]);
  });

  test("crowds over crossed SKUs and locations, transfers between: nothing is sold twice anywhere", async () => {
    for (const location of ["main", "north", "south"]) await receive(shop, { mug: 10, cup: 10 }, location);
    const other = own.open("inventory");
    const wishes = (first: number, skus: string[]) =>
      range(first, first + 9).map((number) => placed(number, Object.fromEntries(skus.map((sku) => [sku, 2]))));
    await Promise.all([
      hear(shop, "reserve-stock", wishes(1, ["mug", "cup"])),
      hear(other, "reserve-stock", wishes(101, ["cup", "mug"])),
      send(5, "south", "north"),
      send(5, "north", "main"),
    ]);
    const { mug } = await books(shop);
    expect(mug?.[1]).toBeLessThanOrEqual(mug?.[0] ?? 0);
    expect(Object.values(await states(shop)).filter((state) => state === "HELD").length).toBeGreaterThanOrEqual(9);
  });
});

describe("the limit per buyer", () => {
  const limit = (perBuyerLimit: number | null) => shop.transaction((tx) => limitBuyers(tx, "mug", perBuyerLimit));

  test("is lowered only while nobody has taken anything under it; it is raised and lifted at any time", async () => {
    await receive(shop, { mug: 100 });
    await reserve(placed(1, { mug: 5 }));
    expect(await limit(4)).toBe("limited");
    expect(await limit(2)).toBe("limited");
    await reserve(placed(2, { mug: 2 }));
    expect(await limit(1)).toBe("lowered");
    expect(await limit(3)).toBe("limited");
    expect(await limit(null)).toBe("limited");
    expect(await limit(3), "a lifted limit is above every other").toBe("lowered");
    await hear(shop, "release-holds", [cancelled(2)]);
    expect(await limit(1), "nobody has anything of it any more").toBe("limited");
  });
});

const oversellSql = sql("test.oversell", { takes: [], gives: {} })`update inventory.stock set held = received + 1`;
const editLedgerSql = sql("test.edit-ledger", { takes: [], gives: {} })`update inventory.movement set held_delta = 0`;
const lockStockSql = sql("test.lock-stock", { takes: [], gives: { sku: text } })`
  select sku from inventory.stock for update`;

describe("the last line", () => {
  const stateOf = (work: Promise<unknown>) => work.then(() => "done", sqlState);

  test("the database refuses to take more than was received", async () => {
    await receive(shop, { mug: 1 });
    expect(await stateOf(shop.execute(oversellSql, []))).toBe("23514");
  });

  test("the ledger can't be edited", async () => {
    expect(await stateOf(shop.execute(editLedgerSql, []))).toBe("42501");
  });

  test("a batch that can't have a SKU's row in time fails as a lock timeout and holds nothing", async () => {
    await receive(shop, { mug: 1 });
    const impatient = own.open("inventory", { lockTimeoutMs: 50 });
    await shop.transaction(async (tx) => {
      await tx.query(lockStockSql, []);
      const failure = await hear(impatient, "reserve-stock", [placed(1, { mug: 1 })]).catch((error) => error);
      expect(isLockTimeout(failure)).toBe(true);
    });
    expect(await states(shop)).toEqual({});
  });
});
