import fc from "fast-check";
import { expect, test } from "vitest";
import { adjustmentReasons, decideAdjustment } from "../src/adjustment.ts";
import { moves } from "../src/ledger.ts";

const level = fc.record({ available: fc.nat(50), quarantined: fc.nat(50) });
const wish = fc.record({
  reason: fc.constantFrom(...adjustmentReasons),
  units: fc.integer({ min: -60, max: 60 }).filter((units) => units !== 0),
});

test("nothing is ever taken below zero, and no hand touches what is held or sold", () => {
  fc.assert(
    fc.property(level, wish, (level, wish) => {
      const decision = decideAdjustment(level, wish);
      if (decision.kind !== "adjusted") return;
      const { received, held, sold, quarantined } = moves[decision.move];
      expect({ held, sold }).toEqual({ held: 0, sold: 0 });
      expect(level.available + received * decision.units).toBeGreaterThanOrEqual(0);
      expect(level.quarantined + quarantined * decision.units).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("a refusal for want of units is only given where units are wanting", () => {
  fc.assert(
    fc.property(level, wish, (level, wish) => {
      const decision = decideAdjustment(level, wish);
      if (decision.kind === "too-many") expect(decision.there).toBeLessThan(Math.abs(wish.units));
    }),
  );
});

test.each([
  ["COUNTED", 3, "ADDED"],
  ["COUNTED", -3, "REMOVED"],
  ["CORRECTION", 3, "ADDED"],
  ["CORRECTION", -3, "REMOVED"],
  ["FOUND", 3, "ADDED"],
  ["FOUND", -3, undefined],
  ["LOST", 3, undefined],
  ["LOST", -3, "REMOVED"],
  ["STOLEN", -3, "REMOVED"],
  ["OWN_USE", -3, "REMOVED"],
  ["DAMAGED", -3, "SET_ASIDE"],
  ["CLEARED", 3, "CLEARED"],
  ["DISPOSED", -3, "DISPOSED"],
  ["DISPOSED", 3, undefined],
] as const)("%s of %i", (reason, units, move) => {
  expect(decideAdjustment({ available: 3, quarantined: 3 }, { reason, units })).toEqual(
    move ? { kind: "adjusted", move, units: 3 } : { kind: "wrong-way" },
  );
});
