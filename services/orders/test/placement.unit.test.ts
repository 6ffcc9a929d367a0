import { maximumAmountMinor } from "@onsale/contracts/money";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  maximumUnits,
  type PlacementRefusal,
  priceBasket,
  toBasket,
  type WantedLine,
  type WantedPayment,
} from "../src/placement.ts";

const lines = (...wanted: [string, number][]): WantedLine[] => wanted.map(([sku, quantity]) => ({ sku, quantity }));
const basketOf = toBasket;
const codeOf = (outcome: { kind: string } | PlacementRefusal): string =>
  "code" in outcome ? outcome.code : outcome.kind;

describe("a basket", () => {
  test("has each SKU once, where it was named first, with the sum of its quantities", () => {
    expect(basketOf(lines(["mug", 1], ["cup", 2], ["mug", 3]))).toEqual({
      kind: "basket",
      lines: lines(["mug", 4], ["cup", 2]),
    });
  });

  test("of more than a thousand lines is refused, whatever they add up to", () => {
    const many = (count: number) => Array.from({ length: count }, () => ({ sku: "mug", quantity: 1 }));
    expect(codeOf(basketOf(many(1_000)))).toBe("basket");
    expect(codeOf(basketOf(many(1_001)))).toBe("TOO_MANY_LINES");
  });

  test("of more pieces of one product than an order may have is refused, over all its lines", () => {
    expect(codeOf(basketOf(lines(["mug", maximumUnits])))).toBe("basket");
    expect(basketOf(lines(["cup", 1], ["mug", maximumUnits], ["mug", 1]))).toMatchObject({
      code: "QUANTITY_TOO_LARGE",
      skus: ["mug"],
    });
  });
});

describe("a price", () => {
  const products = new Map(
    Object.entries({ mug: 255, cup: 100, free: 0, yacht: 1_000_000_000 }).map(([sku, priceMinor]) => [
      sku,
      { priceMinor, currency: "GBP" },
    ]),
  );
  const byCard: WantedPayment = { method: "card", pointsMinor: null };
  const price = (wanted: readonly WantedLine[], currency = "GBP", payment = byCard) =>
    priceBasket({ currency, lines: wanted, payment }, products);

  test("is what the products cost now, line by line", () => {
    expect(price(lines(["mug", 2], ["free", 1]))).toEqual({
      kind: "priced",
      totalMinor: 510,
      pointsMinor: 0,
      allocations: [],
      lines: [
        { sku: "mug", quantity: 2, position: 1, unitPriceMinor: 255 },
        { sku: "free", quantity: 1, position: 2, unitPriceMinor: 0 },
      ],
    });
  });

  test("is not made where a product is unknown, is sold in another currency, costs too much or nothing", () => {
    expect(price(lines(["mug", 1], ["unicorn", 1], ["gnome", 1]))).toMatchObject({
      code: "UNKNOWN_PRODUCT",
      skus: ["unicorn", "gnome"],
    });
    expect(price(lines(["mug", 1]), "EUR")).toMatchObject({ code: "WRONG_CURRENCY", skus: ["mug"] });
    expect(codeOf(price(lines(["free", 1_000])))).toBe("NOTHING_TO_PAY");
    expect(codeOf(price(lines(["yacht", 1_000])))).toBe("priced");
    expect(codeOf(price(lines(["yacht", 1_000], ["cup", 1])))).toBe("TOTAL_TOO_LARGE");
  });

  test.each([
    ["wallet", null, 510],
    ["split", 1, 1],
    ["split", 509, 509],
    ["card", null, 0],
  ] as const)("paid by %s (%s) takes %s points", (method, pointsMinor, taken) => {
    const priced = price(lines(["mug", 2]), "GBP", { method, pointsMinor });
    expect(priced).toMatchObject({ kind: "priced", totalMinor: 510, pointsMinor: taken });
  });

  test.each([
    ["card", 1],
    ["wallet", 510],
    ["split", null],
    ["split", 0],
    ["split", 510],
  ] as const)("can't be paid by %s with %s points", (method, pointsMinor) => {
    expect(codeOf(price(lines(["mug", 2]), "GBP", { method, pointsMinor }))).toBe("POINTS_DO_NOT_FIT");
  });

  test("is exact and within the bound, whatever is ordered", () => {
    const known = fc.uniqueArray(
      fc.record({ sku: fc.string({ minLength: 1 }), priceMinor: fc.nat({ max: 1_000_000_000 }) }),
      {
        selector: ({ sku }) => sku,
        maxLength: 1_000,
        minLength: 1,
      },
    );
    const shelfAndWish = known.chain((shelf) =>
      fc.tuple(
        fc.constant(shelf),
        fc.array(fc.integer({ min: 1, max: maximumUnits }), { minLength: shelf.length, maxLength: shelf.length }),
      ),
    );
    fc.assert(
      fc.property(shelfAndWish, ([shelf, quantities]) => {
        const prices = new Map(shelf.map(({ sku, priceMinor }) => [sku, { priceMinor, currency: "GBP" }]));
        const wanted = shelf.map(({ sku }, index) => ({ sku, quantity: quantities[index] ?? 1 }));
        const exact = shelf.reduce(
          (sum, { priceMinor }, index) => sum + BigInt(priceMinor) * BigInt(quantities[index] ?? 1),
          0n,
        );
        const outcome = priceBasket({ currency: "GBP", lines: wanted, payment: byCard }, prices);
        if (exact > BigInt(maximumAmountMinor)) expect(codeOf(outcome)).toBe("TOTAL_TOO_LARGE");
        else if (exact === 0n) expect(codeOf(outcome)).toBe("NOTHING_TO_PAY");
        else expect(outcome.kind === "priced" && BigInt(outcome.totalMinor)).toBe(exact);
      }),
    );
  });
});
