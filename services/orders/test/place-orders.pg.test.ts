import { orderPlaced } from "@onsale/contracts/orders";
import { type Database, sql, text, uuid } from "@onsale/postgres";
import { readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyProducts } from "../src/copy-products.ts";
import { openIntake } from "../src/place-order.ts";
import type { PlacementOutcome } from "../src/place-orders.ts";
import { settleSagaStyle } from "../src/settle-saga-style.ts";
import { readSagaStyle } from "../src/store/saga-style.ts";
import {
  content,
  deadlinesIn,
  deliverTo,
  faultsIn,
  historyOf,
  orderOf,
  personId,
  place,
  placeOne,
  ports,
  published,
  sell,
  wish,
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

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const kinds = (outcomes: readonly PlacementOutcome[]) =>
  outcomes.map((outcome) =>
    outcome.kind === "refused"
      ? outcome.code
      : outcome.kind === "accepted" && outcome.replayed
        ? "replayed"
        : outcome.kind,
  );

describe("a batch", () => {
  test("places five hundred orders, arriving in the order in which they were given", async () => {
    const outcomes = await place(shop, ...range(1, 500).map((number) => wish(number)));
    expect(new Set(kinds(outcomes))).toEqual(new Set(["accepted"]));
    const events = await readOutbox(shop, orderPlaced);
    expect(events.map(({ data }) => data.buyerId)).toEqual(range(1, 500).map(personId));
    const arrivals = events.map(({ data }) => data.arrival);
    expect(arrivals).toEqual([...arrivals].sort((a, b) => a - b));
    expect(new Set(arrivals).size).toBe(500);
  });

  test("writes the whole order: lines at our prices, history, deadline and event", async () => {
    const lines = [
      { sku: "pot", quantity: 1 },
      { sku: "cup", quantity: 3 },
    ];
    const orderId = await placeOne(shop, 1, { lines });
    expect(await orderOf(shop, orderId)).toEqual({
      ...{ status: "PENDING", reason: null, progress: "forward reserve-stock", version: 1, eventSequence: 1 },
      ...{ paidMinor: 0, refundedMinor: 0, paidPointsMinor: 0, refundedPointsMinor: 0 },
    });
    expect(await historyOf(shop, orderId)).toEqual([
      { what: "placed", status: "PENDING", told: "order.placed.v1", version: 1 },
    ]);
    const [event] = await readOutbox(shop, orderPlaced);
    expect(event?.cause).toEqual({ correlationId: "request-1" });
    expect(event?.data).toMatchObject({
      ...{
        orderId,
        buyerId: personId(1),
        currency: "GBP",
        totalMinor: 1_300,
        payment: { method: "card" },
        holdIds: [],
      },
      lines: [
        { sku: "pot", units: 1, unitPriceMinor: 1_000 },
        { sku: "cup", units: 3, unitPriceMinor: 100 },
      ],
    });
    const [deadline, ...others] = await deadlinesIn(shop);
    expect(others).toEqual([]);
    expect(deadline).toMatchObject({ key: orderId, wait: "look", awaits: "" });
    expect(Date.parse(deadline?.dueAt ?? "") - Date.parse(event?.data.placedAt ?? "")).toBe(120_000);
  });

  test("one bad order among good ones is refused alone, and spends nothing", async () => {
    const bad = wish(2, {
      lines: [
        { sku: "mug", quantity: 1 },
        { sku: "unicorn", quantity: 1 },
      ],
    });
    const outcomes = await place(shop, wish(1), bad, wish(3, { currency: "EUR" }), wish(4));
    expect(kinds(outcomes)).toEqual(["accepted", "UNKNOWN_PRODUCT", "WRONG_CURRENCY", "accepted"]);
    expect(await readOutbox(shop, orderPlaced)).toHaveLength(2);
    // The key of the refused one is free: with the product there, the same request is accepted.
    await sell(shop, { unicorn: 5 });
    expect(kinds(await place(shop, bad))).toEqual(["accepted"]);
  });

  test("equal keys are one order, answered alike; another body under the key is refused", async () => {
    const other = wish(1, { lines: [{ sku: "cup", quantity: 1 }] });
    const outcomes = await place(shop, wish(1), wish(1), other, wish(2, { key: "key-1" }));
    expect(kinds(outcomes)).toEqual(["accepted", "replayed", "key-reused", "accepted"]);
    expect(outcomes[1]).toMatchObject({ answer: outcomes[0]?.kind === "accepted" && outcomes[0].answer });
    expect(kinds(await place(shop, wish(1), other))).toEqual(["replayed", "key-reused"]);
    expect(await readOutbox(shop, orderPlaced)).toHaveLength(2);
  });

  test("a twin of a refused order in the same batch is refused too", async () => {
    const bad = wish(1, { lines: [{ sku: "unicorn", quantity: 1 }] });
    expect(kinds(await place(shop, bad, bad))).toEqual(["UNKNOWN_PRODUCT", "UNKNOWN_PRODUCT"]);
  });

  test("a replay is answered as before, whatever the product costs or is sold in by now", async () => {
    const first = await place(shop, wish(1));
    await deliverTo(shop, "copy-products", [published("mug", 999, 2)]);
    await shop.execute(recurrencySql, ["mug", "EUR"]);
    expect(await place(shop, wish(1))).toEqual(first.map((outcome) => ({ ...outcome, replayed: true })));
  });
});

const recurrencySql = sql("test.change-currency", { takes: [text, text], gives: {} })`
  update orders.product set currency = $2 where sku = $1`;

describe("the copy of the catalog", () => {
  let buyers = 0;
  const priceOf = async (sku: string) => {
    const [outcome] = await place(shop, wish(++buyers, { lines: [{ sku, quantity: 1 }] }));
    const event = (await readOutbox(shop, orderPlaced)).at(-1);
    return outcome?.kind === "accepted" ? event?.data.totalMinor : undefined;
  };

  test("the highest sequence wins, in one batch and over several, in whatever order they come", async () => {
    await deliverTo(shop, "copy-products", [published("jug", 10, 1), published("jug", 30, 3), published("bowl", 7, 1)]);
    expect(await priceOf("jug")).toBe(30);
    const late = { ...published("jug", 20, 2), lane: "bulk" as const };
    await shop.transaction((tx) => copyProducts(tx, [late]));
    expect(await priceOf("jug")).toBe(30);
    expect(await priceOf("bowl")).toBe(7);
  });
});

describe("the intake", () => {
  test("a key held by another process for longer than a lock may take fails its own request only", async () => {
    const waiting = own.open("orders", { lockTimeoutMs: 200, connections: 8 });
    const intake = openIntake(waiting, ports());
    const settled = await shop.transaction(async (tx) => {
      await tx.execute(holdKeySql, [personId(7), "key-7"]);
      return Promise.allSettled(range(1, 40).map((number) => intake.submit(wish(number))));
    });
    const failed = settled.flatMap(({ status }, index) => (status === "rejected" ? index + 1 : []));
    expect(failed).toEqual([7]);
    expect(settled[6]).toMatchObject({ reason: { code: "55P03" } });
    expect(await readOutbox(shop, orderPlaced)).toHaveLength(39);
  });
});

const holdKeySql = sql("test.hold-key", { takes: [uuid, text], gives: {} })`
  insert into orders.idempotency_record (person_id, key, fingerprint, status, body) values ($1, $2, 'another', 202, '{}')`;

test("the style in which the data begins is written down, and the other one is refused by its name", async () => {
  await settleSagaStyle(shop, "choreographed");
  await settleSagaStyle(shop, "choreographed");
  await expect(settleSagaStyle(shop, "orchestrated")).rejects.toThrow(
    "The saga can't be orchestrated: this shop's data was begun choreographed",
  );
  expect(await readSagaStyle(shop)).toBe("choreographed");
});
