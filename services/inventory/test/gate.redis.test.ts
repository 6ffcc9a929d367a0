import { stockRejected, stockReserved } from "@onsale/contracts/inventory";
import type { Database } from "@onsale/postgres";
import {
  type OwnRedis,
  ownRedis,
  readOutbox,
  requiresRedis,
  type TestDatabase,
  testDatabase,
  testRedis,
  waitFor,
} from "@onsale/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { believedMs, type GateRequest, StockGate } from "../src/gate/stock-gate.ts";
import { takeHolds } from "../src/take-holds.ts";
import { books, buyerId, content, hear, orderId, placed, ports, receive } from "./books.ts";

type Lines = Record<string, number>;

const linesOf = (lines: Lines) => Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity }));
const request = (number: number): GateRequest => ({ personId: buyerId(number), key: `order-${number}` });
// So long that no level ends while a busy machine does something else.
const patient = { levelMs: 600_000 };
const none = async function* () {};

/** What became of an order: held, refused by the ledger, or turned away by the gate. */
type Answer = "reserved" | "SOLD_OUT";

describe.skipIf(!(await requiresRedis()))("the gate before the ledger", () => {
  let own: TestDatabase;
  let other: TestDatabase;
  beforeAll(async () => {
    [own, other] = await Promise.all([testDatabase(content), testDatabase(content)]);
  });
  afterAll(() => Promise.all([own.close(), other.close()]));

  /** Asks the gate, then the ledger, as an order does, and waits until the gate has heard of the decision. */
  async function order(
    shop: Database,
    gate: StockGate,
    number: number,
    lines: Lines,
  ): Promise<[Answer, "gate" | "ledger"]> {
    const admission = await gate.admit(request(number), linesOf(lines));
    if (admission.kind === "sold-out") return ["SOLD_OUT", "gate"];
    await hear(shop, "reserve-stock", [placed(number, lines)], { gate });
    await gate.settled();
    return [await decided(shop, number), "ledger"];
  }

  const decided = async (shop: Database, number: number): Promise<Answer> =>
    (await readOutbox(shop, stockReserved)).some(({ key }) => key === orderId(number)) ? "reserved" : "SOLD_OUT";

  test("the same requests one at a time have the same answers with and without it", async () => {
    await using place = await testRedis();
    const gate = new StockGate(place.open(), patient);
    const [gated, plain] = [own.open("inventory"), other.open("inventory")];
    const stock = { cup: 12, hat: 20, mug: 30 };
    await Promise.all([receive(gated, stock), receive(plain, stock)]);
    const wish = fc.dictionary(fc.constantFrom("cup", "hat", "mug"), fc.integer({ min: 1, max: 4 }), { minKeys: 1 });
    const wishes = fc.sample(wish, { seed: 7, numRuns: 60 });
    let askedNobodyElse = 0;
    for (const [index, lines] of wishes.entries()) {
      const number = 1_000 + index;
      const [answer, by] = await order(gated, gate, number, { ...lines });
      if (by === "gate") askedNobodyElse++;
      await hear(plain, "reserve-stock", [placed(number, { ...lines })]);
      expect([lines, answer]).toEqual([lines, await decided(plain, number)]);
    }
    expect(await books(gated)).toEqual(await books(plain));
    expect(askedNobodyElse).toBeGreaterThan(20);
  });

  test("of a crowd at once as many get something as without it, and most of the others never reach the ledger", async () => {
    await using place = await testRedis();
    const gate = new StockGate(place.open(), patient);
    const shop = own.open("inventory");
    await receive(shop, { ticket: 50 });
    // The first decision tells the gate how many there are.
    await order(shop, gate, 2_000, { ticket: 1 });
    const numbers = Array.from({ length: 500 }, (_, index) => 2_001 + index);
    const through = (
      await Promise.all(
        numbers.map(async (number) => ({ number, at: await gate.admit(request(number), linesOf({ ticket: 1 })) })),
      )
    ).filter(({ at }) => at.kind === "through");
    expect(through).toHaveLength(49);
    await hear(
      shop,
      "reserve-stock",
      through.map(({ number }) => placed(number, { ticket: 1 })),
      { gate },
    );
    expect(await books(shop)).toMatchObject({ ticket: [50, 50, 0] });
    expect((await readOutbox(shop, stockRejected)).filter(({ key }) => numbers.map(orderId).includes(key))).toEqual([]);
  });

  test("of what buyers set aside it hears at once", async () => {
    await using place = await testRedis();
    const gate = new StockGate(place.open(), patient);
    const shop = own.open("inventory");
    await receive(shop, { seat: 2 });
    const wish = {
      ...{ buyerId: buyerId(1), units: new Map([["seat", 2]]), names: new Map(), holdMs: 60_000 },
      ...{ claim: { personId: buyerId(1), key: "k", fingerprint: "f" }, cause: { correlationId: "a-test" } },
    };
    const [outcome] = await shop.transaction((tx) => takeHolds(tx, [wish], { ...ports(), gate }));
    expect(outcome?.kind).toBe("held");
    await gate.settled();
    expect(await gate.admit(request(2), linesOf({ seat: 1 }))).toMatchObject({ kind: "sold-out", skus: ["seat"] });
  });

  test("what was given back can be had again; who went through goes through again", async () => {
    await using place = await testRedis();
    const gate = new StockGate(place.open(), patient);
    const lines = linesOf({ last: 1 });
    gate.tell([{ sku: "last", left: 1, version: 5 }]);
    // Older news come late, and change nothing.
    gate.tell([{ sku: "last", left: 9, version: 4 }]);
    expect(await gate.admit(request(1), lines)).toEqual({ kind: "through", isRemembered: true });
    expect(await gate.admit(request(2), lines)).toMatchObject({ kind: "sold-out", skus: ["last"] });
    expect(await gate.admit(request(1), lines)).toMatchObject({ kind: "through" });
    gate.giveBack(lines);
    await gate.settled();
    expect(await gate.admit(request(2), lines)).toMatchObject({ kind: "through" });
  });
});

describe.skipIf(!(await requiresRedis()))("a gate whose Redis forgets", () => {
  let redis: OwnRedis;
  beforeAll(async () => {
    redis = await ownRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  const soldOut = (version: number) => [{ sku: "mug", left: 0, version }];
  const mug = linesOf({ mug: 1 });

  test("what it refuses wrongly it refuses no longer than was said, also from an old copy", async () => {
    const gate = new StockGate(redis.open());
    await waitFor(async () => {
      gate.tell(soldOut(1));
      await gate.settled();
      return (await gate.admit(request(1), mug)).kind === "sold-out";
    });
    await redis.keep("sold out");
    await redis.server.kill();
    // Away, it turns nobody away.
    expect(await gate.admit(request(2), mug)).toEqual({ kind: "through", isRemembered: false });
    const restoredAt = performance.now();
    await redis.start("sold out");
    // Asked, and not only left alone for a moment because it was away.
    await waitFor(async () => {
      const admission = await gate.admit(request(3), mug);
      return admission.kind === "through" && admission.isRemembered;
    });
    // The bound for the level, and again as much for a machine that does other things, too.
    expect(performance.now() - restoredAt).toBeLessThan(2 * believedMs);
  });

  test("emptied, it knows no level, and is right again after the next decision", async () => {
    const gate = new StockGate(redis.open(), patient);
    await waitFor(async () => {
      gate.tell(soldOut(2));
      await gate.settled();
      return (await gate.admit(request(11), mug)).kind === "sold-out";
    });
    await redis.open().send("FLUSHALL");
    expect(await gate.admit(request(12), mug)).toMatchObject({ kind: "through" });
    gate.tell(soldOut(3));
    await gate.settled();
    expect(await gate.admit(request(13), mug)).toMatchObject({ kind: "sold-out" });
  });

  test("it says when it may have forgotten who went through, until their memory is restored", async () => {
    const gate = new StockGate(redis.open(), patient);
    const isFirst = async (number: number) => {
      gate.tell(soldOut(Date.now()));
      await gate.settled();
      const admission = await gate.admit(request(number), mug);
      return admission.kind === "sold-out" ? admission.isFirst : admission.kind;
    };
    await redis.open().send("FLUSHALL");
    expect(await isFirst(21)).toBe(false);
    await gate.restoreMemory(async function* () {
      yield [request(22)];
    });
    expect([await isFirst(21), await isFirst(22)]).toEqual([true, "through"]);
    // An old copy says that it remembers all, and does not know whom it forgot since.
    await redis.keep("complete");
    await redis.server.kill();
    await gate.remember(request(23));
    await redis.start("complete");
    expect(await waitFor(async () => (await isFirst(24)) === false)).toBe(true);
    // With Redis away it was asked to remember one, which makes its memory incomplete even where Redis is the same.
    await gate.restoreMemory(none);
    expect(await isFirst(24)).toBe(true);
  });
});
