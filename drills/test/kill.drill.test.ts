import { serverOfThisRun } from "@onsale/testing";
import { expect, test } from "vitest";
import { drillKill } from "../src/kill/kill.ts";
import { killPoints } from "../src/theatre/kill-points.ts";

// A sample: the recorded run has 200 rounds (RESULTS.md). One round comes to every kill point.
test("writers and consumers die at every kill point: nothing lost, doubled, invented or out of order", async () => {
  const words: string[] = [];
  const say = (told: string) => void words.push(told);
  const report = await drillKill({ serverUrl: await serverOfThisRun(), rounds: 1, from: 1, seed: 42, say });
  console.log(words.join("\n"));
  console.log(report.figures.killPoints);
  for (const { id, checked, violations } of report.invariants) {
    expect(violations, id).toEqual([]);
    expect(checked, id).toBeGreaterThan(0);
  }
  expect(report.verdict).toBe("pass");
  expect(report.figures.rounds).toBe(1);
  expect(report.figures.changes).toBeGreaterThanOrEqual(1_000);
  expect(Object.keys(report.figures.killPoints as object).sort()).toEqual(
    [...killPoints.writer, ...killPoints.consumer].sort(),
  );
}, 1_200_000);
