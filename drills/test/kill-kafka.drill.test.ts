import { requiresKafka, serverOfThisRun, testKafka } from "@onsale/testing";
import { expect, test } from "vitest";
import { drillKill } from "../src/kill/kill.ts";
import { killPoints } from "../src/theatre/kill-points.ts";

// A sample: in the whole drill writers and consumers die, too (RESULTS.md).
test.skipIf(!(await requiresKafka()))(
  "relays die when they have read, appended and saved: nothing lost, doubled, invented or out of order",
  async () => {
    const words: string[] = [];
    const report = await drillKill({
      ...{ serverUrl: await serverOfThisRun(), kafka: await testKafka(), roles: ["relay"] },
      ...{ rounds: 1, from: 1, seed: 42, say: (told) => void words.push(told) },
    });
    console.log(words.join("\n"));
    for (const { id, violations } of report.invariants) expect(violations, id).toEqual([]);
    expect(report.verdict).toBe("pass");
    expect(report.figures.changes).toBeGreaterThanOrEqual(1_000);
    expect(Object.keys(report.figures.killPoints as object).sort()).toEqual([...killPoints.relay].sort());
  },
  1_200_000,
);
