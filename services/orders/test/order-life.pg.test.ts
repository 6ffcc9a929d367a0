import {
  orderConfirmed,
  orderPayable,
  orderPointsPayable,
  orderReturned,
  orderWithdrawn,
} from "@onsale/contracts/orders";
import { type Database, databaseNow, sql, text } from "@onsale/postgres";
import { listOpenTasks } from "@onsale/saga";
import { readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cancelOrder } from "../src/cancel-order.ts";
import { endOverdueOrders } from "../src/end-overdue-orders.ts";
import type { StepTimeoutsMs } from "../src/order-saga.ts";
import { placeOrders } from "../src/place-orders.ts";
import { returnLines } from "../src/return-lines.ts";
import { lockOrders } from "../src/store/order.ts";
import {
  content,
  deadlinesIn,
  deliverTo,
  faultsIn,
  hearAll,
  heard,
  historyOf,
  impatient,
  orderOf,
  personId,
  place,
  placeOne,
  ports,
  sell,
  toConfirmed,
  told,
  toldOf,
  type Word,
  wish,
  withBoth,
  withPoints,
} from "./shop.ts";

let own: TestDatabase;
let shop: Database;
beforeEach(async () => {
  own = await testDatabase(content);
  shop = own.open("orders");
  await sell(shop);
});
afterEach(async () => {
  expect(await faultsIn(shop)).toEqual([]);
  await own.close();
});

const cause = { correlationId: "a-click", causationId: "the-click" };
const cancel = (orderId: string, person = 1) =>
  cancelOrder(shop, { orderId, buyerId: personId(person), cause }, ports());
const sendBack = (orderId: string, lines: Record<string, number>, person = 1) =>
  shop.transaction((tx) =>
    returnLines(
      tx,
      {
        ...{ orderId, buyerId: personId(person), kind: "RETURN", cause },
        lines: Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity })),
      },
      ports(),
    ),
  );
const whats = async (orderId: string) =>
  (await historyOf(shop, orderId)).map(({ what, status }) => `${what} ${status}`);

describe("going forward", () => {
  test("an order that everybody grants is confirmed, each step told and written down", async () => {
    const orderId = await placeOne(shop, 1);
    await hearAll(shop, orderId, ...toConfirmed(510));
    expect(await orderOf(shop, orderId)).toEqual({
      ...{ status: "CONFIRMED", reason: null, progress: "completed", version: 5, eventSequence: 5 },
      ...{ paidMinor: 510, refundedMinor: 0, paidPointsMinor: 0, refundedPointsMinor: 0 },
    });
    expect(await toldOf(shop, orderId)).toEqual([
      ...["order.placed", "order.payable", "order.authorised", "order.secured", "order.confirmed"],
    ]);
    expect(await whats(orderId)).toEqual([
      ...["placed PENDING", "stock-reserved PENDING", "payment-authorised PENDING", "stock-confirmed PENDING"],
      "payment-captured CONFIRMED",
    ]);
    expect(await deadlinesIn(shop)).toEqual([]);
    const [payable] = await readOutbox(shop, orderPayable);
    expect(payable?.data).toEqual({ orderId, buyerId: personId(1), amountMinor: 510, currency: "GBP", method: "card" });
    expect(payable?.cause).toMatchObject({ causationId: told("reserved", orderId).id });
    const [confirmed] = await readOutbox(shop, orderConfirmed);
    expect(confirmed?.data).toEqual({
      orderId,
      buyerId: personId(1),
      totalMinor: 510,
      pointsMinor: 0,
      currency: "GBP",
      lineCount: 1,
    });
  });

  test("a batch of several hundred orders goes on at once, sold out ones apart; delivered twice it acts once", async () => {
    const outcomes = await place(shop, ...Array.from({ length: 300 }, (_, index) => wish(index + 1)));
    const ids = outcomes.flatMap((outcome) => (outcome.kind === "accepted" ? outcome.answer.orderId : []));
    const news = ids.map((orderId, index) => told(index % 3 === 0 ? "rejected" : "reserved", orderId));
    await deliverTo(shop, "advance", news);
    await deliverTo(shop, "advance", news);
    // Redelivered by an operator, under other sequences than the inbox has seen.
    await deliverTo(
      shop,
      "advance",
      news.map((event) => ({ ...event, sequence: 9 })),
    );
    expect(await readOutbox(shop, orderPayable)).toHaveLength(200);
    expect(await orderOf(shop, ids[0] ?? "")).toMatchObject({ status: "REJECTED", reason: "SOLD_OUT", version: 2 });
    expect(await orderOf(shop, ids[1] ?? "")).toMatchObject({ status: "PENDING", version: 2 });
    expect(await deadlinesIn(shop)).toHaveLength(200);
  });

  test("several answers about one order in one batch are heard in their order", async () => {
    const orderId = await placeOne(shop, 1);
    await hearAll(shop, orderId, "reserved", "authorised", "confirmed");
    await cancel(orderId);
    await deliverTo(shop, "advance", [
      told("captured", orderId, { amountMinor: 510 }),
      told("reversing", orderId),
      told("reversed", orderId, { refundedMinor: 510 }),
    ]);
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "CANCELLED", paidMinor: 510, refundedMinor: 510 });
    expect((await whats(orderId)).slice(4)).toEqual([
      ...[
        "cancel-requested PENDING",
        "payment-captured PENDING",
        "payment-reversing CANCELLED",
        "payment-reversed CANCELLED",
      ],
    ]);
  });

  test("answers from two services and cancels of the same orders at one moment all find their place", async () => {
    const outcomes = await place(shop, ...Array.from({ length: 60 }, (_, index) => wish(index + 1)));
    const ids = outcomes.flatMap((outcome) => (outcome.kind === "accepted" ? outcome.answer.orderId : []));
    const advance = (word: Word, orderIds: readonly string[]) =>
      deliverTo(
        shop,
        "advance",
        orderIds.map((orderId) => told(word, orderId)),
      );
    await advance("reserved", ids);
    const crowd = ids.map((orderId, index) => cancel(orderId, index + 1));
    await Promise.all([advance("authorised", ids), advance("released", ids.toReversed()), ...crowd]);
    await advance("reversed", ids);
    for (const orderId of ids) expect(await orderOf(shop, orderId)).toMatchObject({ status: "CANCELLED" });
  });

  test("news of an order that is not known harms nobody", async () => {
    const orderId = await placeOne(shop, 1);
    await deliverTo(shop, "advance", [
      told("reserved", "0000000a-0000-7000-8000-00000000dead"),
      told("reserved", orderId),
    ]);
    expect(await orderOf(shop, orderId)).toMatchObject({ progress: "forward authorise-payment" });
  });
});

describe("points", () => {
  test("pay a whole order: held, then confirmed, and no card is asked", async () => {
    const orderId = await placeOne(shop, 1, withPoints);
    await hearAll(shop, orderId, "reserved", "pointsHeld", "confirmed");
    expect(await orderOf(shop, orderId)).toMatchObject({
      ...{ status: "CONFIRMED", progress: "completed", paidMinor: 0, paidPointsMinor: 510 },
    });
    expect(await toldOf(shop, orderId)).toEqual([
      ...["order.placed", "order.points-payable", "order.authorised", "order.confirmed"],
    ]);
    const [payable] = await readOutbox(shop, orderPointsPayable);
    expect(payable?.data).toEqual({ orderId, buyerId: personId(1), amountMinor: 510, currency: "GBP" });
    const [confirmed] = await readOutbox(shop, orderConfirmed);
    expect(confirmed?.data).toMatchObject({ totalMinor: 510, pointsMinor: 510 });
  });

  test("and a card pay one order: both, or neither", async () => {
    const both = await placeOne(shop, 1, withBoth(200));
    await hearAll(shop, both, "reserved", "pointsHeld", "authorised", "confirmed", ["captured", { amountMinor: 310 }]);
    expect(await orderOf(shop, both)).toMatchObject({ status: "CONFIRMED", paidMinor: 310, paidPointsMinor: 200 });
    const [payable] = await readOutbox(shop, orderPayable);
    expect(payable?.data).toMatchObject({ orderId: both, amountMinor: 310, method: "split" });

    const neither = await placeOne(shop, 2, withBoth(200));
    await hearAll(shop, neither, "reserved", "pointsHeld", "declined", "pointsReleased");
    expect(await orderOf(shop, neither)).toMatchObject({ status: "PENDING", progress: "backward authorise-payment" });
    await hearAll(shop, neither, ["reversed", { refundedMinor: 0 }], "released");
    expect(await orderOf(shop, neither)).toMatchObject({
      ...{ status: "REJECTED", reason: "PAYMENT_DECLINED", progress: "undone", paidMinor: 0, paidPointsMinor: 0 },
    });
  });

  test("that the buyer does not have end the order before a card is asked", async () => {
    const orderId = await placeOne(shop, 1, withBoth(200));
    await hearAll(shop, orderId, "reserved", "pointsRefused", "released");
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "REJECTED", reason: "INSUFFICIENT_POINTS" });
    expect(await toldOf(shop, orderId)).toEqual(["order.placed", "order.points-payable", "order.rejected"]);
  });

  test("and a card give back what they took, unit by unit, and the rest when the order is cancelled", async () => {
    const orderId = await placeOne(shop, 1, { ...withBoth(100), lines: [{ sku: "mug", quantity: 3 }] });
    await hearAll(shop, orderId, "reserved", "pointsHeld", "authorised", "confirmed", [
      "captured",
      { amountMinor: 665 },
    ]);
    expect(await sendBack(orderId, { mug: 1 })).toMatchObject({ refundMinor: 221, pointsMinor: 33 });
    expect(await sendBack(orderId, { mug: 1 })).toMatchObject({ refundMinor: 222, pointsMinor: 33 });
    const returned = await readOutbox(shop, orderReturned);
    expect(returned.map(({ data }) => [data.refundMinor, data.pointsMinor])).toEqual([
      [221, 33],
      [222, 33],
    ]);
    await hearAll(
      shop,
      orderId,
      "restocked",
      ["refunded", { amountMinor: 443 }],
      ["pointsRefunded", { amountMinor: 66 }],
    );
    await cancel(orderId);
    await hearAll(shop, orderId, ["reversed", { refundedMinor: 665 }], ["pointsReleased", { returnedMinor: 100 }]);
    expect(await orderOf(shop, orderId)).toMatchObject({
      ...{ status: "CANCELLED", paidMinor: 665, refundedMinor: 665, paidPointsMinor: 100, refundedPointsMinor: 100 },
    });
  });
});

describe("turning back", () => {
  test("a decline withdraws the payment first, then ends the order, then waits for the stock", async () => {
    const orderId = await placeOne(shop, 1);
    await hearAll(shop, orderId, "reserved", "declined");
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "PENDING", progress: "backward authorise-payment" });
    await hearAll(shop, orderId, ["reversed", { refundedMinor: 0 }]);
    expect(await orderOf(shop, orderId)).toMatchObject({
      status: "REJECTED",
      reason: "PAYMENT_DECLINED",
      progress: "undone owed reserve-stock",
    });
    await hearAll(shop, orderId, "released");
    expect(await orderOf(shop, orderId)).toMatchObject({ progress: "undone" });
    expect(await toldOf(shop, orderId)).toEqual(["order.placed", "order.payable", "order.withdrawn", "order.rejected"]);
  });

  test("before payment was asked, cancelling ends the order at once", async () => {
    const orderId = await placeOne(shop, 1);
    expect(await cancel(orderId)).toEqual({ kind: "accepted", status: "CANCELLED" });
    expect(await toldOf(shop, orderId)).toEqual(["order.placed", "order.cancelled"]);
    expect(await cancel(orderId)).toEqual({ kind: "accepted", status: "CANCELLED" });
    // Inventory had reserved before it heard of the end: nothing comes of that.
    await hearAll(shop, orderId, "reserved", "released");
    expect(await toldOf(shop, orderId)).toEqual(["order.placed", "order.cancelled"]);
  });

  test("while it is paid, the payment is reversed whatever has become of it", async () => {
    const orderId = await placeOne(shop, 1);
    await hearAll(shop, orderId, "reserved");
    expect(await cancel(orderId)).toEqual({ kind: "accepted", status: "PENDING" });
    const [withdrawn] = await readOutbox(shop, orderWithdrawn);
    expect(withdrawn).toMatchObject({ data: { reason: "CANCELLED_BY_BUYER" }, cause });
    await hearAll(shop, orderId, "authorised", "reversing");
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "CANCELLED", reason: "CANCELLED_BY_BUYER" });
    await hearAll(shop, orderId, "reversed", "released");
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "CANCELLED", progress: "undone" });
  });

  test("after it was confirmed, it stays CONFIRMED until the money is back", async () => {
    const orderId = await placeOne(shop, 1);
    await hearAll(shop, orderId, ...toConfirmed(510));
    expect(await cancel(orderId)).toEqual({ kind: "accepted", status: "CONFIRMED" });
    expect(await cancel(orderId)).toEqual({ kind: "accepted", status: "CONFIRMED" });
    await hearAll(shop, orderId, ["reversed", { refundedMinor: 510 }], "released");
    expect(await orderOf(shop, orderId)).toEqual({
      ...{ status: "CANCELLED", reason: "CANCELLED_BY_BUYER", progress: "undone", version: 8, eventSequence: 7 },
      ...{ paidMinor: 510, refundedMinor: 510, paidPointsMinor: 0, refundedPointsMinor: 0 },
    });
  });

  test("another person's order, and one that was rejected, can't be cancelled", async () => {
    const orderId = await placeOne(shop, 1);
    expect(await cancel(orderId, 2)).toEqual({ kind: "not-found" });
    await hearAll(shop, orderId, "rejected");
    expect(await cancel(orderId)).toEqual({ kind: "rejected" });
  });
});

const parkSql = sql("test.orders-park", { takes: [text], gives: {} })`
  insert into orders.parked_key (reader, aggregate, key, source, state, attempts, next_attempt_at, error)
  values ('orders', 'payment', $1, 'payments', 'dead', 5, now(), 'on purpose')`;
const longAgo = "2020-01-01T00:00:00.000Z";

describe("deadlines", () => {
  /** Two runs: the first finds out what is waited for, the second finds it overdue. */
  const endOverdue = async (timeouts: StepTimeoutsMs = impatient) => {
    for (let run = 0; run < 2; run++) await endOverdueOrders(shop, ports(timeouts), new AbortController().signal);
  };
  const placeHasty = async (number: number) => {
    const [outcome] = await shop.transaction((tx) => placeOrders(tx, [wish(number)], ports(impatient)));
    return outcome?.kind === "accepted" ? outcome.answer.orderId : "";
  };

  test("an order that nobody answers is given up when inventory was heard past the bound, not before", async () => {
    const orderId = await placeHasty(1);
    await heard(shop, "inventory", longAgo);
    await endOverdue();
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "PENDING" });
    await heard(shop, "inventory", await databaseNow(shop));
    await endOverdue();
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "CANCELLED", reason: "TIMED_OUT" });
    expect(await toldOf(shop, orderId)).toEqual(["order.placed", "order.cancelled"]);
  });

  test("a step waits for its own deciding service only", async () => {
    const orderId = await placeHasty(1);
    await hearAll(shop, orderId, "reserved");
    await heard(shop, "inventory", await databaseNow(shop));
    await heard(shop, "payments", longAgo);
    await endOverdue();
    expect(await orderOf(shop, orderId)).toMatchObject({ progress: "forward authorise-payment" });
    await heard(shop, "payments", await databaseNow(shop));
    // With no time for the reversal, it would be given up, too, where all of this happens within one millisecond.
    await endOverdue({ ...impatient, "undo authorise-payment": 60_000 });
    expect((await toldOf(shop, orderId)).slice(1)).toEqual(["order.payable", "order.withdrawn"]);
  });

  test("an order whose answer is parked is left alone", async () => {
    const orderId = await placeHasty(1);
    await hearAll(shop, orderId, "reserved");
    await heard(shop, "payments", await databaseNow(shop));
    await shop.execute(parkSql, [orderId]);
    await endOverdue();
    expect(await orderOf(shop, orderId)).toMatchObject({ progress: "forward authorise-payment" });
  });

  test("what goes on in time is never touched, and leaves no deadline behind", async () => {
    const orderId = await placeOne(shop, 1);
    for (const word of toConfirmed(510)) {
      await heard(shop, "inventory", await databaseNow(shop));
      await heard(shop, "payments", await databaseNow(shop));
      await endOverdue({});
      await hearAll(shop, orderId, word);
    }
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "CONFIRMED" });
    expect(await deadlinesIn(shop)).toEqual([]);
  });

  test("a reversal that is not answered does not hold the order open; a person is called, and called off", async () => {
    const orderId = await placeHasty(1);
    await hearAll(shop, orderId, "reserved");
    await heard(shop, "inventory", await databaseNow(shop));
    await heard(shop, "payments", await databaseNow(shop));
    for (let run = 0; run < 4; run++) {
      await heard(shop, "payments", await databaseNow(shop));
      await heard(shop, "inventory", await databaseNow(shop));
      await endOverdue();
    }
    expect(await orderOf(shop, orderId)).toMatchObject({
      status: "CANCELLED",
      progress: "undone owed authorise-payment,reserve-stock",
    });
    const kinds = async () =>
      (await listOpenTasks(shop, { limit: 10 })).map(({ kind, key }) => `${kind} ${key}`).sort();
    expect(await kinds()).toEqual([`order.owed.authorise-payment ${orderId}`, `order.owed.reserve-stock ${orderId}`]);
    await hearAll(shop, orderId, "released");
    expect(await kinds()).toEqual([`order.owed.authorise-payment ${orderId}`]);
    await hearAll(shop, orderId, "reversed");
    expect(await kinds()).toEqual([]);
    expect(await deadlinesIn(shop)).toEqual([]);
  });

  test("an order that somebody holds at the moment is met again, without waiting for it", async () => {
    const orderId = await placeHasty(1);
    await heard(shop, "inventory", await databaseNow(shop));
    await shop.transaction(async (tx) => {
      await lockOrders(tx, [orderId]);
      await endOverdue();
    });
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "PENDING" });
    await heard(shop, "inventory", await databaseNow(shop));
    await endOverdue();
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "CANCELLED" });
  });
});

describe("returns", () => {
  const bought = async () => {
    const orderId = await placeOne(shop, 1, {
      key: "the-basket",
      lines: [
        { sku: "mug", quantity: 3 },
        { sku: "pot", quantity: 1 },
      ],
    });
    await hearAll(shop, orderId, ...toConfirmed(1_765));
    return orderId;
  };

  test("what comes back is refunded at the price that was paid, until nothing is left", async () => {
    const orderId = await bought();
    const first = await sendBack(orderId, { mug: 1, pot: 1 });
    expect(first).toMatchObject({ kind: "accepted", refundMinor: 1_255, currency: "GBP" });
    expect(await sendBack(orderId, { mug: 3 })).toEqual({ kind: "more-than-held", skus: ["mug"] });
    expect(await sendBack(orderId, { mug: 2 })).toMatchObject({ kind: "accepted", refundMinor: 510 });
    expect(await sendBack(orderId, { pot: 1 })).toEqual({ kind: "more-than-held", skus: ["pot"] });
    const events = await readOutbox(shop, orderReturned);
    expect(
      events.map(({ data, sequence }) => ({ lines: data.lines, refundMinor: data.refundMinor, sequence })),
    ).toEqual([
      {
        lines: [
          { sku: "mug", units: 1 },
          { sku: "pot", units: 1 },
        ],
        refundMinor: 1_255,
        sequence: 6,
      },
      { lines: [{ sku: "mug", units: 2 }], refundMinor: 510, sequence: 7 },
    ]);
    await hearAll(shop, orderId, "restocked", ["refunded", { amountMinor: 1_255 }]);
    expect(await orderOf(shop, orderId)).toMatchObject({ status: "CONFIRMED", paidMinor: 1_765, refundedMinor: 1_255 });
  });

  test("two returns of the same goods at the same moment: one is taken", async () => {
    const orderId = await bought();
    const outcomes = await Promise.all([sendBack(orderId, { mug: 2 }), sendBack(orderId, { mug: 2 })]);
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["accepted", "more-than-held"]);
  });

  test("nothing comes back of an order that is not confirmed, is being cancelled, or is another's", async () => {
    const pending = await placeOne(shop, 1);
    expect(await sendBack(pending, { mug: 1 })).toEqual({ kind: "not-returnable" });
    const orderId = await bought();
    expect(await sendBack(orderId, { mug: 1 }, 2)).toEqual({ kind: "not-found" });
    await cancel(orderId);
    expect(await sendBack(orderId, { mug: 1 })).toEqual({ kind: "not-returnable" });
  });
});

const corruptions = {
  "history is not contiguous": sql("test.skip-version", { takes: [], gives: {} })`
    update orders.orders set version = version + 1`,
  "events are not contiguous": sql("test.skip-event", { takes: [], gives: {} })`
    update orders.orders set event_sequence = event_sequence + 1`,
  "lines do not add up to the total": sql("test.more-units", { takes: [], gives: {} })`
    update orders.order_line set quantity = quantity + 1`,
  "returned lines are not what returns say": sql("test.came-back", { takes: [], gives: {} })`
    update orders.order_line set returned_quantity = 1`,
} as const;

describe("the check that every test here ends with", () => {
  test.each(Object.entries(corruptions))("names an order whose %s", async (fault, corruption) => {
    const orderId = await placeOne(shop, 1);
    const corrupt = shop.transaction(async (tx) => {
      await tx.execute(corruption, []);
      throw await faultsIn(tx);
    });
    await expect(corrupt).rejects.toContain(`${orderId}: ${fault}`);
  });
});

describe("what was written down", () => {
  const rewrites = [
    sql("test.rewrite-history", { takes: [], gives: {} })`update orders.order_history set what = 'nothing'`,
    sql("test.remove-history", { takes: [], gives: {} })`delete from orders.order_history`,
    sql("test.remove-returns", { takes: [], gives: {} })`delete from orders.order_return`,
  ];
  test.each(rewrites)("can't be changed by the service: $text", async (rewrite) => {
    await placeOne(shop, 1);
    await expect(shop.transaction((tx) => tx.execute(rewrite, []))).rejects.toThrow("permission denied");
  });
});
