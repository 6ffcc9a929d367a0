import fc from "fast-check";
import { expect, test } from "vitest";
import { fewestLocations, type LineToServe, pick } from "../src/location.ts";

const place = fc.record({
  location: fc.constantFrom("main", "north", "south", "west", "east"),
  units: fc.integer({ min: 1, max: 20 }),
});
const line: fc.Arbitrary<LineToServe> = fc
  .uniqueArray(place, { selector: ({ location }) => location, minLength: 1 })
  .chain((places) =>
    fc.record({
      sku: fc.constant("mug"),
      units: fc.integer({ min: 1, max: places.reduce((sum, { units }) => sum + units, 0) }),
      places: fc.constant(places),
    }),
  );

/** The fewest places that hold as many, by trying all. */
function fewest({ units, places }: LineToServe): number {
  const sums = Array.from({ length: 2 ** places.length }, (_, set) => {
    const chosen = places.filter((_, index) => set & (1 << index));
    return { count: chosen.length, units: chosen.reduce((sum, place) => sum + place.units, 0) };
  });
  return Math.min(...sums.filter((sum) => sum.units >= units).map(({ count }) => count));
}

test("a line is served whole, from what is there, and from as few locations as there can be", () => {
  fc.assert(
    fc.property(line, (line) => {
      const picked = pick(fewestLocations, line);
      expect(picked.length).toBe(fewest(line));
    }),
  );
});

test("of several locations that have all of it, the first in the shop's order serves", () => {
  const places = ["main", "north", "south"].map((location, index) => ({ location, units: index + 2 }));
  expect(fewestLocations({ sku: "mug", units: 3, places })).toEqual([{ location: "north", units: 3 }]);
  expect(fewestLocations({ sku: "mug", units: 6, places })).toEqual([
    { location: "south", units: 4 },
    { location: "north", units: 2 },
  ]);
});

const asked: LineToServe = { sku: "mug", units: 3, places: [{ location: "main", units: 5 }] };

test.each([
  ["takes what is not there", [{ location: "north", units: 3 }]],
  ["takes more than there is", [{ location: "main", units: 6 }]],
  ["leaves the line short", [{ location: "main", units: 2 }]],
  ["takes too much", [{ location: "main", units: 4 }]],
  ["takes a part of a unit", [{ location: "main", units: 2.5 }]],
  [
    "names a location twice",
    [
      { location: "main", units: 1 },
      { location: "main", units: 2 },
    ],
  ],
])("a rule that %s is a fault", (_, places) => {
  expect(() => pick(() => places, asked)).toThrow("rule of locations");
});
