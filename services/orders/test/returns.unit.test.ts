import fc from "fast-check";
import { expect, test } from "vitest";
import { orderSagas } from "../src/order-saga.ts";
import { decideReturn, type HeldLine } from "../src/returns.ts";

const confirmed = { progress: orderSagas.orchestrated.card.parse("completed") };
const atOnce = { requested: new Map(), inspect: false };

test("lines of one SKU are taken together", () => {
  const held: HeldLine[] = [{ sku: "mug", quantity: 3, returnedQuantity: 1, unitPriceMinor: 255 }];
  const mug = (quantity: number) => ({ sku: "mug", quantity });
  expect(decideReturn(confirmed, { held, allocations: [], ...atOnce }, [mug(1), mug(1)])).toEqual({
    kind: "accepted",
    lines: [mug(2)],
    refundMinor: 510,
    pointsMinor: 0,
  });
  expect(decideReturn(confirmed, { held, allocations: [], ...atOnce }, [mug(1), mug(2)])).toEqual({
    kind: "more-than-held",
    skus: ["mug"],
  });
});

test("where somebody looks first, nothing is given back yet, and what was asked for is not asked for again", () => {
  const given = { held: [{ sku: "mug", quantity: 3, returnedQuantity: 1, unitPriceMinor: 255 }], allocations: [] };
  const of = (asked: number, quantity: number) =>
    decideReturn(confirmed, { ...given, requested: new Map([["mug", asked]]), inspect: true }, [
      { sku: "mug", quantity },
    ]);
  expect(of(1, 1)).toEqual({ kind: "requested", lines: [{ sku: "mug", quantity: 1 }] });
  expect(of(1, 2)).toEqual({ kind: "more-than-held", skus: ["mug"] });
});

test("an order at any other place than completed gives nothing back", () => {
  for (const place of ["forward reserve-stock", "backward authorise-payment", "undone", "undone owed reserve-stock"]) {
    expect(
      decideReturn(
        { progress: orderSagas.orchestrated.card.parse(place) },
        { held: [], allocations: [], ...atOnce },
        [],
      ).kind,
      place,
    ).toBe("not-returnable");
  }
});

test("however often things are sent back, no more comes back than was bought, and no more is refunded than was paid", () => {
  const order = fc.uniqueArray(
    fc.record({
      sku: fc.constantFrom("a", "b", "c"),
      quantity: fc.integer({ min: 1, max: 20 }),
      unitPriceMinor: fc.nat({ max: 1_000 }),
    }),
    { selector: ({ sku }) => sku, minLength: 1 },
  );
  const wishes = fc.array(
    fc.array(fc.record({ sku: fc.constantFrom("a", "b", "c", "d"), quantity: fc.integer({ min: 1, max: 8 }) }), {
      minLength: 1,
      maxLength: 4,
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(order, wishes, (bought, returns) => {
      let held: HeldLine[] = bought.map((line) => ({ ...line, returnedQuantity: 0 }));
      let refundedMinor = 0;
      for (const wanted of returns) {
        const decision = decideReturn(confirmed, { held, allocations: [], ...atOnce }, wanted);
        if (decision.kind !== "accepted") continue;
        refundedMinor += decision.refundMinor;
        const back = new Map(decision.lines.map(({ sku, quantity }) => [sku, quantity]));
        held = held.map((line) => ({ ...line, returnedQuantity: line.returnedQuantity + (back.get(line.sku) ?? 0) }));
      }
      expect(held.every(({ quantity, returnedQuantity }) => returnedQuantity <= quantity)).toBe(true);
      expect(refundedMinor).toBe(
        held.reduce((sum, { returnedQuantity, unitPriceMinor }) => sum + returnedQuantity * unitPriceMinor, 0),
      );
    }),
  );
});
