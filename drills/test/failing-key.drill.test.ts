import { serverOfThisRun } from "@onsale/testing";
import { expect, test } from "vitest";
import { drillFailingKey, othersKeptTheirPace } from "../src/steady/failing-key.ts";

// What does not depend on the machine; the others' p99 is judged in the recorded run (RESULTS.md).
test("a key whose handler fails waits alone, and a redrive applies what waited in its order", async () => {
  const serverUrl = await serverOfThisRun();
  const report = await drillFailingKey({ serverUrl, pairs: 2, partMs: 1_000, say: console.log });
  for (const { id, violations } of report.invariants)
    if (id !== "others-keep-their-pace") expect(violations, id).toEqual([]);
  expect(report.figures).toMatchObject({ keys: 1_000, redriven: 30, others: expect.any(Number) });
}, 200_000);

test("the others' pace is judged by its bound, and not without having been measured", () => {
  const broken = (times: number | undefined) => othersKeptTheirPace(times, 1).violations.length > 0;
  expect([broken(1.2), broken(1.21), broken(undefined)]).toEqual([false, true, true]);
});
