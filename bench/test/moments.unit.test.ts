import { describe, expect, test } from "vitest";
import { between, quantilesOf } from "../src/messaging/moments.ts";
import { pairedRow } from "../src/report.ts";

describe("what lay between two moments of the same orders", () => {
  const committed = { orderIds: ["a", "b"], at: [10, 20] };

  test("is told in ascending order, whatever order they came in", () => {
    expect(between(committed, { orderIds: ["b", "a"], at: [21, 15] })).toEqual([1, 5]);
  });

  test("an order that was never heard fails the measurement", () => {
    expect(() => between(committed, { orderIds: ["a"], at: [15] })).toThrow("The order b was told and never heard");
  });

  test("nothing measured is a failure", () => {
    expect(() => between({ orderIds: [], at: [] }, committed)).toThrow("Nothing was measured");
  });

  test("of a hundred durations the ninety-ninth is the p99, and the worst is told too", () => {
    const durations = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(quantilesOf(durations)).toEqual({ samples: 100, p50Ms: 50, p99Ms: 99, maximumMs: 100 });
  });
});

test("pairs are compared one by one: a moment that slowed both of a pair changes no ratio", () => {
  const pairs = [
    { value: 80, limit: 100 },
    { value: 8, limit: 10 },
    { value: 82, limit: 100 },
  ];
  expect(pairedRow("row", pairs, { unit: "events/s", limit: "the other", goal: 0.75 })).toEqual({
    row: "row",
    value: 80,
    unit: "events/s",
    limit: { name: "the other", value: 100 },
    ratio: 0.8,
    goal: 0.75,
    met: true,
  });
});
