import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { amountInWords, apportion, maximumAmountMinor, shareOfUnits } from "../src/money.ts";

const amount = fc.integer({ min: 0, max: maximumAmountMinor });
const sum = (numbers: readonly number[]): number => numbers.reduce((total, it) => total + it, 0);

describe("an amount that is split", () => {
  test.each([
    [100, [1, 1, 1], [34, 33, 33]],
    [10, [3, 3, 4], [3, 3, 4]],
    [5, [1, 2, 2], [1, 2, 2]],
    [1, [5, 7], [0, 1]],
    [0, [0, 0], [0, 0]],
    [7, [0, 9], [0, 7]],
  ])("%s by %j is %j", (amountMinor, weights, shares) => {
    expect(apportion(amountMinor, weights)).toEqual(shares);
  });

  const split = fc
    .array(amount, { minLength: 1, maxLength: 30 })
    .filter((weights) => sum(weights) > 0)
    .chain((weights) =>
      fc.tuple(fc.constant(weights), fc.integer({ min: 0, max: Math.min(sum(weights), maximumAmountMinor) })),
    );

  test("sums to itself; each share is within one unit of the exact one, and never above its weight", () => {
    fc.assert(
      fc.property(split, ([weights, amountMinor]) => {
        const shares = apportion(amountMinor, weights);
        expect(sum(shares)).toBe(amountMinor);
        const total = weights.reduce((all, weight) => all + BigInt(weight), 0n);
        for (const [index, share] of shares.entries()) {
          const weight = weights[index] ?? 0;
          const exact = (BigInt(amountMinor) * BigInt(weight)) / total;
          expect([0n, 1n]).toContain(BigInt(share) - exact);
          expect(share).toBeLessThanOrEqual(weight);
        }
      }),
    );
  });

  test("gives the same shares for the same weights, in whatever order they come", () => {
    fc.assert(
      fc.property(split, fc.infiniteStream(fc.nat()), ([weights, amountMinor], chance) => {
        const shuffled = weights.map((weight) => ({ weight, at: chance.next().value })).sort((a, b) => a.at - b.at);
        const pairs = (of: readonly number[]) =>
          apportion(amountMinor, of)
            .map((share, index) => `${of[index]}: ${share}`)
            .sort();
        expect(pairs(shuffled.map(({ weight }) => weight))).toEqual(pairs(weights));
      }),
    );
  });

  test("is refused where it is none, or nothing weighs", () => {
    expect(() => apportion(1, [0, 0])).toThrow(RangeError);
    expect(() => apportion(-1, [1])).toThrow(RangeError);
    expect(() => apportion(1.5, [1])).toThrow(RangeError);
    expect(() => apportion(1, [-1, 3])).toThrow(RangeError);
  });
});

test("the shares of more and more units never shrink, and all units are the whole amount", () => {
  fc.assert(
    fc.property(amount, fc.integer({ min: 1, max: 1_000_000 }), fc.nat(), (amountMinor, ofUnits, some) => {
      const units = some % ofUnits;
      expect(shareOfUnits(amountMinor, units, ofUnits)).toBeLessThanOrEqual(
        shareOfUnits(amountMinor, units + 1, ofUnits),
      );
      expect(shareOfUnits(amountMinor, 0, ofUnits)).toBe(0);
      expect(shareOfUnits(amountMinor, ofUnits, ofUnits)).toBe(amountMinor);
    }),
  );
});

test.each([
  ["GBP", 1530, "GBP 15.30"],
  ["GBP", 5, "GBP 0.05"],
  ["GBP", 0, "GBP 0.00"],
  ["JPY", 1530, "JPY 1,530"],
  ["KRW", 1530, "KRW 1,530"],
  ["BHD", 1530, "BHD 1.530"],
  ["IQD", 7, "IQD 0.007"],
  ["EUR", 999_999_999_999, "EUR 9,999,999,999.99"],
])("%s %i is written with the digits of the currency: %s", (currency, amountMinor, amount) => {
  expect(amountInWords(amountMinor, currency)).toBe(amount);
});

test("an amount is written as its reader's language does", () => {
  expect(amountInWords(123_456, "EUR", "de")).toBe("1.234,56 EUR");
});
