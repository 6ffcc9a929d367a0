import fc from "fast-check";
import { expect, test } from "vitest";
import type { Allocation } from "../src/allocation.ts";
import { orderSagas } from "../src/order-saga.ts";
import { areSame, decideInspection, type Finding, gathered, type Verdict } from "../src/return-inspection.ts";
import { decideReturn, type HeldLine, quantitiesOf } from "../src/returns.ts";

const confirmed = { progress: orderSagas.orchestrated.card.parse("completed") };
const skus = ["a", "b", "c"];

const mug = (quantity: number, verdict: Verdict): Finding => ({
  ...{ sku: "mug", quantity, verdict },
  reason: verdict === "REFUSED" ? "USED" : null,
});
const held: HeldLine[] = [{ sku: "mug", quantity: 4, returnedQuantity: 1, unitPriceMinor: 255 }];

test("what is taken is paid back, damaged or not; what is refused is not", () => {
  const findings = [mug(1, "GOOD"), mug(1, "WRITTEN_OFF"), mug(1, "REFUSED")];
  expect(decideInspection([{ sku: "mug", quantity: 3 }], findings, { held, allocations: [] })).toEqual({
    kind: "inspected",
    accepted: [
      { sku: "mug", quantity: 1 },
      { sku: "mug", quantity: 1, damage: "WRITTEN_OFF" },
    ],
    refused: [{ sku: "mug", quantity: 1, reason: "USED" }],
    ...{ refundMinor: 510, pointsMinor: 0 },
  });
});

test("every piece that was to come back is found to be something", () => {
  const of = (findings: Finding[]) =>
    decideInspection([{ sku: "mug", quantity: 3 }], findings, { held, allocations: [] });
  expect(of([mug(2, "GOOD")])).toEqual({ kind: "does-not-add-up", skus: ["mug"] });
  expect(of([mug(4, "GOOD")])).toEqual({ kind: "does-not-add-up", skus: ["mug"] });
  const stranger = { ...mug(1, "GOOD"), sku: "cup" };
  expect(of([mug(3, "GOOD"), stranger])).toEqual({ kind: "does-not-add-up", skus: ["cup"] });
});

test("findings are the same in whatever order and pieces they are told", () => {
  const told = [mug(1, "GOOD"), mug(2, "REFUSED"), mug(1, "GOOD")];
  expect(gathered(told)).toEqual([mug(2, "GOOD"), mug(2, "REFUSED")]);
  expect(areSame(told, gathered(told).toReversed())).toBe(true);
  expect(areSame(told, [mug(2, "GOOD"), { ...mug(2, "REFUSED"), reason: "NOT_OURS" }])).toBe(false);
  expect(areSame(told, [mug(2, "QUARANTINED"), mug(2, "REFUSED")])).toBe(false);
});

const line = fc.record({ quantity: fc.integer({ min: 1, max: 9 }), unitPriceMinor: fc.nat({ max: 1_000 }) });
const basket = fc.tuple(line, line, line).map((lines) => lines.map((it, at) => ({ ...it, sku: skus[at] ?? "" })));
/** Returns are asked for, and looked at in an order of their own, with verdicts of their own. */
const script = fc.array(
  fc.oneof(
    fc.record({ ask: fc.constantFrom(...skus), quantity: fc.integer({ min: 1, max: 5 }) }),
    fc.record({
      inspect: fc.nat(),
      verdict: fc.constantFrom<Verdict>("GOOD", "QUARANTINED", "WRITTEN_OFF", "REFUSED"),
      upTo: fc.nat({ max: 5 }),
    }),
    fc.record({ lapse: fc.nat() }),
  ),
  { maxLength: 40 },
);

test("whatever is asked for, looked at and forgotten: no piece comes back twice, and no cent more than was paid", () => {
  fc.assert(
    fc.property(basket, script, fc.nat({ max: 500 }), (bought, deeds, pointsShare) => {
      const allocations = bought.flatMap(({ sku, quantity, unitPriceMinor }): Allocation[] => {
        const amountMinor = Math.min(pointsShare, quantity * unitPriceMinor);
        return amountMinor === 0 ? [] : [{ sku, kind: "POINTS", borneBy: "buyer", amountMinor }];
      });
      let held: HeldLine[] = bought.map((it) => ({ ...it, returnedQuantity: 0 }));
      const open: { sku: string; quantity: number }[] = [];
      let backMinor = 0;
      for (const deed of deeds) {
        if ("ask" in deed) {
          const given = { held, allocations, requested: quantitiesOf(open), inspect: true };
          const wanted = { sku: deed.ask, quantity: deed.quantity };
          if (decideReturn(confirmed, given, [wanted]).kind === "requested") open.push(wanted);
        } else if ("lapse" in deed) open.splice(deed.lapse, 1);
        else {
          const [asked] = open.splice(deed.inspect % (open.length || 1), 1);
          if (!asked) continue;
          const some = Math.min(deed.upTo, asked.quantity);
          const of = (verdict: Verdict, quantity: number): Finding[] =>
            quantity === 0 ? [] : [{ ...mug(quantity, verdict), sku: asked.sku }];
          const findings = [...of(deed.verdict, some), ...of("GOOD", asked.quantity - some)];
          const decision = decideInspection([asked], findings, { held, allocations });
          if (decision.kind !== "inspected") throw new Error("It adds up.");
          backMinor += decision.refundMinor + decision.pointsMinor;
          const back = quantitiesOf(decision.accepted);
          held = held.map((it) => ({ ...it, returnedQuantity: it.returnedQuantity + (back.get(it.sku) ?? 0) }));
        }
        const asked = quantitiesOf(open);
        for (const { sku, quantity, returnedQuantity } of held)
          expect(returnedQuantity + (asked.get(sku) ?? 0)).toBeLessThanOrEqual(quantity);
      }
      const paidMinor = bought.reduce((sum, { quantity, unitPriceMinor }) => sum + quantity * unitPriceMinor, 0);
      expect(backMinor).toBeLessThanOrEqual(paidMinor);
      if (held.every(({ quantity, returnedQuantity }) => quantity === returnedQuantity))
        expect(backMinor).toBe(paidMinor);
    }),
  );
});
