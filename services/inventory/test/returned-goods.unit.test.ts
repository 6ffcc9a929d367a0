import fc from "fast-check";
import { expect, test } from "vitest";
import { decideRestocks, type ReturnWish } from "../src/returned-goods.ts";

const orders = ["order-1", "order-2"];
const skus = ["a", "b"];

const line = fc.record({ sku: fc.constantFrom(...skus), units: fc.integer({ min: 1, max: 9 }) });
const wishes = fc
  .array(fc.record({ orderId: fc.constantFrom(...orders), lines: fc.array(line, { minLength: 1, maxLength: 3 }) }))
  .map((rows) =>
    rows.map((row, index): ReturnWish => ({ ...row, returnId: `return-${index}`, cause: { correlationId: "a-test" } })),
  );
const kept = fc.uniqueArray(
  fc.record({
    orderId: fc.constantFrom(...orders),
    holdId: fc.constantFrom("hold-1", "hold-2"),
    sku: fc.constantFrom(...skus),
    location: fc.constantFrom("main", "north"),
    units: fc.integer({ min: 1, max: 20 }),
    limited: fc.boolean(),
  }),
  { selector: ({ orderId, holdId, sku, location }) => `${orderId} ${holdId} ${sku} ${location}` },
);

const unitsOf = (rows: readonly { readonly units: number }[]) => rows.reduce((sum, { units }) => sum + units, 0);

test("puts back what is sent back, never more than the order has, and where it came from", () => {
  fc.assert(
    fc.property(kept, wishes, (kept, wishes) => {
      const sold = new Map(orders.map((orderId) => [orderId, { version: 2, buyerId: "ann" }]));
      const restocked = decideRestocks(sold, kept, wishes);
      for (const orderId of orders) {
        for (const sku of skus) {
          const back = restocked
            .filter(({ wish }) => wish.orderId === orderId)
            .flatMap(({ lines }) => lines)
            .filter((it) => it.sku === sku);
          const has = kept.filter((it) => it.orderId === orderId && it.sku === sku);
          const wished = wishes.filter((it) => it.orderId === orderId).flatMap(({ lines }) => lines);
          expect(unitsOf(back)).toBe(Math.min(unitsOf(has), unitsOf(wished.filter((it) => it.sku === sku))));
          // Each unit goes back to the hold and the place that it came from.
          for (const { holdId, location, units } of has)
            expect(unitsOf(back.filter((it) => it.holdId === holdId && it.location === location))).toBeLessThanOrEqual(
              units,
            );
        }
        const versions = restocked.filter(({ wish }) => wish.orderId === orderId).map(({ version }) => version);
        expect(versions).toEqual(versions.map((_, index) => 3 + index));
      }
    }),
  );
});

test("a return of an order that has nothing any more is left out", () => {
  const wish = {
    orderId: "order-1",
    returnId: "return-1",
    lines: [{ sku: "a", units: 1 }],
    cause: { correlationId: "a-test" },
  };
  expect(decideRestocks(new Map(), [], [wish])).toEqual([]);
});
