import fc from "fast-check";
import { expect, test } from "vitest";
import { judgeFairness } from "../src/fairness.ts";

test("who is decided in the order of arrival overtakes nobody, whatever they ask for and whatever comes back", () => {
  const step = fc.record({ units: fc.integer({ min: 1, max: 5 }), comesBack: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(step), fc.nat(20), (crowd, stock) => {
      let available = stock;
      const served = crowd.map(({ units, comesBack }, index) => {
        available += comesBack;
        const decision = { arrival: index + 1, decidedAt: index + 1, units, available, isGranted: units <= available };
        if (decision.isGranted) available -= units;
        return decision;
      });
      const granted = served.filter(({ isGranted }) => isGranted);
      const refused = served.filter(({ isGranted }) => !isGranted);
      expect(judgeFairness(granted, refused)).toEqual({ inversions: 0, wronglyRefused: 0 });
    }),
  );
});

const refusedFirst = { arrival: 1, units: 2, available: 0, decidedAt: 9 };

test("who came later, was decided earlier and had what would have done is an inversion", () => {
  const late = [2, 3].map((arrival) => ({ arrival, units: 1, decidedAt: arrival }));
  expect(judgeFairness(late, [refusedFirst])).toEqual({ inversions: 2, wronglyRefused: 0 });
  expect(judgeFairness(late.slice(1), [refusedFirst]), "one unit would not have done").toMatchObject({ inversions: 0 });
});

test("an order is wrongly refused where there was enough", () => {
  expect(judgeFairness([], [{ ...refusedFirst, available: 2 }])).toEqual({ inversions: 0, wronglyRefused: 1 });
});
