import { serverOfThisRun } from "@onsale/testing";
import { expect, test } from "vitest";
import { drillOldTransactions, readersKeepTheirPace, tablesStaySmall } from "../src/steady/old-transactions.ts";

// A sample, for what does not depend on the machine; ten minutes are in the recorded run (RESULTS.md), where time is judged.
test("while transactions stay open, here and elsewhere, and a snapshot is held, all that is committed is applied", async () => {
  const report = await drillOldTransactions({
    serverUrl: await serverOfThisRun(),
    heldMs: 2_000,
    say: console.log,
  });
  for (const { id, checked, violations } of report.invariants) {
    if (id === "readers-keep-their-pace") continue;
    expect(violations, id).toEqual([]);
    expect(checked, id).toBeGreaterThan(0);
  }
  expect(report.figures).toMatchObject({
    heldMs: 2_000,
    heldP99Ms: expect.any(Number),
    grownBytes: expect.any(Object),
  });
  expect(report.figures.events).toBeGreaterThanOrEqual(600);
}, 200_000);

test("pace and growth are judged by their bounds, and not without having been measured", () => {
  const broken = ({ violations }: { violations: readonly string[] }) => violations.length > 0;
  expect([2, 2.01, undefined].map((times) => broken(readersKeepTheirPace(times, 1)))).toEqual([false, true, true]);
  expect([1_000, 1_001].map((bytes) => broken(tablesStaySmall({ inbox: bytes }, 1)))).toEqual([false, true]);
});
