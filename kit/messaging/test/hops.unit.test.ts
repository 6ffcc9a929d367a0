import { expect, test } from "vitest";
import { HopReport, hopDurations } from "../src/hops.ts";

test("each hop is counted from the one before, and what a log can't tell is left out", () => {
  expect(hopDurations(100, { visible: 104, fetched: 105, processed: 125 })).toEqual({
    visible: 4,
    fetched: 1,
    processed: 20,
  });
});

test("clocks of two machines give no negative time, and their difference is counted once", () => {
  expect(hopDurations(100, { visible: 90, fetched: 95, processed: 110 })).toEqual({
    visible: 0,
    fetched: 0,
    processed: 10,
  });
});

test("the report names the hop that an event waits at longest", () => {
  const report = new HopReport();
  expect(report.bottleneck()).toBeUndefined();
  for (let event = 1; event <= 100; event++) report.add({ visible: 1, fetched: event === 100 ? 90 : 2, processed: 5 });
  report.add({ visible: 1, fetched: 91, processed: 5 });
  expect(report.rows()).toEqual([
    { hop: "visible", samples: 101, p50Ms: 1, p99Ms: 1 },
    { hop: "fetched", samples: 101, p50Ms: 2, p99Ms: 90 },
    { hop: "processed", samples: 101, p50Ms: 5, p99Ms: 5 },
  ]);
  expect(report.bottleneck()).toBe("fetched");
});
