import fc from "fast-check";
import { expect, test } from "vitest";
import { decideRestocks, moveOf, type ReturnWish } from "../src/returned-goods.ts";

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
    allocationId: fc.constantFrom(...orders),
    holdId: fc.constantFrom("hold-1", "hold-2"),
    sku: fc.constantFrom(...skus),
    location: fc.constantFrom("main", "north"),
    units: fc.integer({ min: 1, max: 20 }),
    limited: fc.boolean(),
    names: fc.constant([]),
  }),
  { selector: ({ allocationId, holdId, sku, location }) => `${allocationId} ${holdId} ${sku} ${location}` },
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
          const has = kept.filter((it) => it.allocationId === orderId && it.sku === sku);
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

test("of units that have names the last go back first, each once", () => {
  const seats = { allocationId: "order-1", holdId: "hold-1", sku: "a", location: "main", limited: false };
  const kept = [{ ...seats, units: 3, names: ["A-1", "A-2", "A-3"] }];
  const back = (units: number, index: number): ReturnWish => ({
    ...{ orderId: "order-1", returnId: `return-${index}`, lines: [{ sku: "a", units }] },
    cause: { correlationId: "a-test" },
  });
  const sold = new Map([["order-1", { version: 2, buyerId: "ann" }]]);
  const restocked = decideRestocks(sold, kept, [back(1, 1), back(5, 2)]);
  expect(restocked.map(({ lines }) => lines.map(({ units, names }) => ({ units, names })))).toEqual([
    [{ units: 1, names: ["A-3"] }],
    [{ units: 2, names: ["A-1", "A-2"] }],
  ]);
});

test("damaged units of a return go another way than those that are as good as new", () => {
  const kept = [
    { allocationId: "order-1", holdId: "hold-1", sku: "a", location: "main", limited: false, units: 3, names: [] },
  ];
  const wish: ReturnWish = {
    ...{ orderId: "order-1", returnId: "return-1", cause: { correlationId: "a-test" } },
    lines: [
      { sku: "a", units: 1 },
      { sku: "a", units: 1, damage: "QUARANTINED" },
      { sku: "a", units: 2, damage: "WRITTEN_OFF" },
    ],
  };
  const [restocked] = decideRestocks(new Map([["order-1", { version: 2, buyerId: "ann" }]]), kept, [wish]);
  expect(restocked?.lines.map(({ units, damage }) => [units, moveOf(damage)])).toEqual([
    [1, "RETURNED"],
    [1, "RETURNED_ASIDE"],
    [1, "WRITTEN_OFF"],
  ]);
});
