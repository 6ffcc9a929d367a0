import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Allocation, type AllocationRule, allocatePoints, applyRules, paidFor } from "../src/allocation.ts";
import { orderSagas } from "../src/order-saga.ts";
import { priceBasket } from "../src/placement.ts";
import { decideReturn, type HeldLine } from "../src/returns.ts";

const mug = { sku: "mug", quantity: 3, unitPriceMinor: 255 };
const cup = { sku: "cup", quantity: 1, unitPriceMinor: 100 };
const basket = { currency: "GBP", lines: [mug, cup] };
const rule =
  (...given: Allocation[]): AllocationRule =>
  () =>
    given as ReturnType<AllocationRule>;
const discount = (sku: string, borneBy: string, amountMinor: number): Allocation => ({
  ...{ sku, kind: "DISCOUNT", borneBy, amountMinor },
});
const tax = (sku: string, borneBy: string, amountMinor: number): Allocation => ({
  ...{ sku, kind: "TAX", borneBy, amountMinor },
});

describe("rules", () => {
  test("say who bears what: equal ones are one, nothing is none", () => {
    const rules = [rule(discount("mug", "shop", 60)), rule(discount("mug", "shop", 5), discount("cup", "brand", 0))];
    expect(applyRules(basket, rules)).toEqual([discount("mug", "shop", 65)]);
  });

  test("lower or raise what the buyer pays; a tax that somebody else bears does neither", () => {
    const allocations = applyRules(basket, [
      rule(discount("mug", "brand", 65), tax("mug", "buyer", 70), tax("cup", "shop", 20)),
    ]);
    expect(paidFor(mug, allocations)).toEqual({ cardMinor: 765 - 65 + 70, pointsMinor: 0 });
    expect(paidFor(cup, allocations)).toEqual({ cardMinor: 100, pointsMinor: 0 });
    const products = new Map([mug, cup].map((it) => [it.sku, { priceMinor: it.unitPriceMinor, currency: "GBP" }]));
    const payment = { method: "split", pointsMinor: 87 } as const;
    expect(
      priceBasket({ ...basket, payment }, products, [() => allocations as ReturnType<AllocationRule>]),
    ).toMatchObject({
      totalMinor: 870,
      pointsMinor: 87,
      allocations: [...allocations, points("cup", 10), points("mug", 77)],
    });
  });

  test.each([
    ["a line that is not there", discount("pot", "shop", 1)],
    ["a fraction", discount("mug", "shop", 0.5)],
    ["less than nothing", tax("mug", "buyer", -1)],
    ["nobody", discount("mug", "", 1)],
    ["more than the line costs", discount("cup", "shop", 101)],
  ])("that name %s are refused as the faults they are", (_, wrong) => {
    expect(() => applyRules(basket, [rule(wrong)])).toThrow(RangeError);
  });
});

const points = (sku: string, amountMinor: number): Allocation => ({
  ...{ sku, kind: "POINTS", borneBy: "buyer", amountMinor },
});

/** Orders with discounts and points of all sizes. A minor unit is one, whatever decimals its currency has. */
const orders = fc
  .uniqueArray(
    fc.record({
      sku: fc.constantFrom("a", "b", "c", "d", "e"),
      quantity: fc.integer({ min: 1, max: 12 }),
      unitPriceMinor: fc.nat({ max: 2_000 }),
      off: fc.nat({ max: 100 }),
      taxed: fc.nat({ max: 300 }),
    }),
    { selector: ({ sku }) => sku, minLength: 1 },
  )
  .chain((wanted) => {
    const lines = wanted.map(({ sku, quantity, unitPriceMinor }) => ({ sku, quantity, unitPriceMinor }));
    const ruled = applyRules({ currency: "KWD", lines }, [
      ...wanted.map(({ sku, quantity, unitPriceMinor, off, taxed }) =>
        rule(discount(sku, "shop", Math.floor((quantity * unitPriceMinor * off) / 100)), tax(sku, "buyer", taxed)),
      ),
    ]);
    const totalMinor = lines.reduce((sum, line) => sum + paidFor(line, ruled).cardMinor, 0);
    return fc.nat({ max: totalMinor }).map((pointsMinor) => ({
      ...{ lines, totalMinor, pointsMinor },
      allocations: [...ruled, ...allocatePoints(pointsMinor, lines, ruled)],
    }));
  });

test("points are spread over the lines to the minor unit, whatever order the lines come in", () => {
  fc.assert(
    fc.property(orders, ({ lines, totalMinor, pointsMinor, allocations }) => {
      const paid = lines.map((line) => paidFor(line, allocations));
      expect(paid.every(({ cardMinor, pointsMinor: with_ }) => cardMinor >= 0 && with_ >= 0)).toBe(true);
      expect(paid.reduce((sum, it) => sum + it.pointsMinor, 0)).toBe(pointsMinor);
      expect(paid.reduce((sum, it) => sum + it.cardMinor, 0)).toBe(totalMinor - pointsMinor);
      const ruled = allocations.filter(({ kind }) => kind !== "POINTS");
      expect(allocatePoints(pointsMinor, lines.toReversed(), ruled)).toEqual(allocatePoints(pointsMinor, lines, ruled));
    }),
  );
});

test("however things come back, each instrument never gives more than it took, and gives all of it with the last unit", () => {
  const wishes = fc.array(
    fc.record({ sku: fc.constantFrom("a", "b", "c", "d", "e"), quantity: fc.integer({ min: 1, max: 5 }) }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(orders, wishes, ({ lines, totalMinor, pointsMinor, allocations }, script) => {
      const confirmed = { progress: orderSagas.orchestrated.card.parse("completed") };
      let held: HeldLine[] = lines.map((line) => ({ ...line, returnedQuantity: 0 }));
      const back = { card: 0, points: 0 };
      const giveBack = (sku: string, quantity: number) => {
        const decision = decideReturn(confirmed, { held, allocations, requested: new Map(), inspect: false }, [
          { sku, quantity },
        ]);
        if (decision.kind !== "accepted") return;
        expect(decision.refundMinor).toBeGreaterThanOrEqual(0);
        expect(decision.pointsMinor).toBeGreaterThanOrEqual(0);
        back.card += decision.refundMinor;
        back.points += decision.pointsMinor;
        held = held.map((it) => (it.sku === sku ? { ...it, returnedQuantity: it.returnedQuantity + quantity } : it));
        expect(back.card).toBeLessThanOrEqual(totalMinor - pointsMinor);
        expect(back.points).toBeLessThanOrEqual(pointsMinor);
      };
      for (const { sku, quantity } of script) giveBack(sku, quantity);
      for (const { sku, quantity, returnedQuantity } of held)
        for (let unit = returnedQuantity; unit < quantity; unit++) giveBack(sku, 1);
      expect(back).toEqual({ card: totalMinor - pointsMinor, points: pointsMinor });
    }),
  );
});
