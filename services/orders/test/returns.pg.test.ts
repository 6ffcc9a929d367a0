/** Returns that somebody looks at before they are paid for. */

import { orderReturned, orderReturnLapsed, orderReturnRefused, orderReturnRequested } from "@onsale/contracts/orders";
import type { Database } from "@onsale/postgres";
import { readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { advanceOrders } from "../src/advance-orders.ts";
import { cancelOrder } from "../src/cancel-order.ts";
import { lapseReturns } from "../src/lapse-returns.ts";
import type { Finding, Verdict } from "../src/return-inspection.ts";
import { lockOrders } from "../src/store/order.ts";
import {
  askBack,
  content,
  deadlinesIn,
  faultsIn,
  hearAll,
  historyOf,
  inspect,
  inspectFirst,
  orderOf,
  personId,
  placeOne,
  ports,
  sell,
  stateOfReturn,
  told,
  withBoth,
} from "./shop.ts";

let own: TestDatabase;
let shop: Database;
let buyer = 0;
beforeAll(async () => {
  own = await testDatabase(content);
  shop = own.open("orders");
  await sell(shop);
  await inspectFirst(shop);
});
afterAll(async () => {
  expect(await faultsIn(shop)).toEqual([]);
  await own.close();
});

/** Three mugs, 100 of their 765 with points. */
async function bought(): Promise<string> {
  const orderId = await placeOne(shop, ++buyer, { ...withBoth(100), lines: [{ sku: "mug", quantity: 3 }] });
  await hearAll(shop, orderId, "reserved", "pointsHeld", "authorised", "confirmed", ["captured", { amountMinor: 665 }]);
  return orderId;
}

const mugs = (quantity: number, verdict: Verdict = "GOOD"): Finding => ({
  ...{ sku: "mug", quantity, verdict },
  reason: verdict === "REFUSED" ? "USED" : null,
});

async function requested(orderId: string, quantity = 2): Promise<string> {
  const outcome = await askBack(shop, { orderId, buyer, quantity });
  if (outcome.kind !== "requested") throw new Error(`It was not requested: ${outcome.kind}`);
  return outcome.returnId;
}

const toldOf = async (orderId: string, definition: Parameters<typeof readOutbox>[1]) =>
  (await readOutbox(shop, definition)).filter(({ key }) => key === orderId).map(({ data }) => data);
const lapse = (database = shop) => lapseReturns(database, ports(), new AbortController().signal);

test("nothing is given back before somebody has looked; then what is taken, with what it was paid, and no more", async () => {
  const orderId = await bought();
  const returnId = await requested(orderId);
  expect(await toldOf(orderId, orderReturnRequested)).toMatchObject([{ returnId, lines: [{ sku: "mug", units: 2 }] }]);
  expect(await toldOf(orderId, orderReturned)).toEqual([]);
  expect(await askBack(shop, { orderId, buyer, quantity: 2 })).toEqual({ kind: "more-than-held", skus: ["mug"] });

  const findings = [mugs(1, "QUARANTINED"), mugs(1, "REFUSED")];
  expect(await inspect(shop, returnId, findings)).toMatchObject({ kind: "inspected", after: { state: "ACCEPTED" } });
  // A third of 665 and of 100, rounded down: the cents that don't divide come with a later unit.
  const refund = { refundMinor: 221, pointsMinor: 33 };
  const lines = [{ sku: "mug", units: 1, damage: "QUARANTINED" }];
  expect(await toldOf(orderId, orderReturned)).toEqual([{ orderId, returnId, lines, currency: "GBP", ...refund }]);
  const refused = [{ sku: "mug", units: 1, reason: "USED" }];
  expect(await toldOf(orderId, orderReturnRefused)).toMatchObject([{ returnId, lines: refused }]);
  expect((await historyOf(shop, orderId)).slice(-3).map(({ what }) => what)).toEqual([
    ...["return-requested", "return-accepted", "return-refused"],
  ]);

  // What was refused is the buyer's again, and may be asked for once more.
  const rest = await requested(orderId);
  const asTheyAre = [mugs(1), mugs(1, "WRITTEN_OFF")];
  expect(await inspect(shop, rest, asTheyAre)).toMatchObject({ after: { refundMinor: 444, pointsMinor: 67 } });
  expect(await deadlinesIn(shop)).toEqual([]);
});

test("is looked at once: the same again is a replay, something else a contradiction", async () => {
  const orderId = await bought();
  const returnId = await requested(orderId);
  expect(await inspect(shop, returnId, [mugs(1)])).toEqual({ kind: "does-not-add-up", skus: ["mug"] });
  const all = await Promise.all([inspect(shop, returnId, [mugs(2)]), inspect(shop, returnId, [mugs(1), mugs(1)])]);
  expect(all.map(({ kind }) => kind).sort()).toEqual(["inspected", "repeated"]);
  expect(await inspect(shop, returnId, [mugs(1), mugs(1, "REFUSED")])).toEqual({ kind: "contradicted" });
  expect(await inspect(shop, returnId, [mugs(2)], "a note")).toEqual({ kind: "contradicted" });
  expect(await toldOf(orderId, orderReturned)).toHaveLength(1);
  expect(await inspect(shop, orderId, [mugs(2)])).toEqual({ kind: "unknown-return" });
});

test("where nothing of it is taken, nothing is given back", async () => {
  const orderId = await bought();
  const returnId = await requested(orderId);
  expect(await inspect(shop, returnId, [mugs(2, "REFUSED")])).toMatchObject({ after: { state: "REFUSED" } });
  expect(await toldOf(orderId, orderReturned)).toEqual([]);
  expect(await orderOf(shop, orderId)).toMatchObject({ status: "CONFIRMED", refundedMinor: 0 });
});

test("lapses where nobody looks at it in time, not before, and not while somebody holds its order", async () => {
  const orderId = await bought();
  const patient = await requested(orderId, 1);
  const outcome = await askBack(shop, { orderId, buyer, quantity: 1, lapseMs: 0 });
  const returnId = outcome.kind === "requested" ? outcome.returnId : "";
  await shop.transaction(async (tx) => {
    await lockOrders(tx, [orderId]);
    await lapse();
  });
  expect(await stateOfReturn(shop, returnId)).toBe("REQUESTED");
  await lapse();
  await lapse();
  expect(await stateOfReturn(shop, returnId)).toBe("LAPSED");
  expect(await stateOfReturn(shop, patient)).toBe("REQUESTED");
  expect(await toldOf(orderId, orderReturnLapsed)).toMatchObject([{ returnId, reason: "TIMED_OUT" }]);
  expect(await inspect(shop, returnId, [mugs(1)])).toEqual({ kind: "lapsed" });
  // The units are free to be asked for again.
  expect(await askBack(shop, { orderId, buyer, quantity: 2 })).toMatchObject({ kind: "requested" });
});

test("ends with its order: what is given back as a whole is not given back twice", async () => {
  const orderId = await bought();
  const returnIds = [await requested(orderId, 1), await requested(orderId, 1)];
  const wish = { orderId, buyerId: personId(buyer), cause: { correlationId: "c", causationId: "a-click" } };
  await cancelOrder(shop, wish, ports());
  expect(await toldOf(orderId, orderReturnLapsed)).toMatchObject(
    returnIds.map((returnId) => ({ returnId, reason: "ORDER_CANCELLED" })),
  );
  expect(await inspect(shop, returnIds[0] ?? "", [mugs(1)])).toEqual({ kind: "lapsed" });
  expect(await askBack(shop, { orderId, buyer, quantity: 1 })).toEqual({ kind: "not-returnable" });
});

test("a part that is cancelled never left, and is not looked at", async () => {
  const orderId = await bought();
  const outcome = await askBack(shop, { orderId, buyer, quantity: 1, kind: "CANCELLATION" });
  expect(outcome).toMatchObject({ kind: "accepted", refundMinor: 221 });
  const returnId = outcome.kind === "accepted" ? outcome.returnId : "";
  expect(await inspect(shop, returnId, [mugs(1)])).toEqual({ kind: "not-awaited" });
});

test("what came of a return is added up and noted once, also where an operator has it told again, past the inbox", async () => {
  const orderId = await bought();
  const outcome = await askBack(shop, { orderId, buyer, quantity: 1, kind: "CANCELLATION" });
  const returnId = outcome.kind === "accepted" ? outcome.returnId : "";
  const events = [told("restocked", orderId, { returnId }), told("refunded", orderId, { returnId, amountMinor: 221 })];
  const heardWith = { ...ports(), clock: { now: () => "2026-11-22T08:00:00.000Z" } };
  for (let time = 0; time < 2; time++) await shop.transaction((tx) => advanceOrders(tx, events, heardWith));
  const steps = (await historyOf(shop, orderId)).map(({ what }) => what);
  expect(steps.filter((what) => /restocked|refunded/.test(what))).toEqual(["return-restocked", "return-refunded"]);
  expect(await orderOf(shop, orderId)).toMatchObject({ refundedMinor: 221 });
});
