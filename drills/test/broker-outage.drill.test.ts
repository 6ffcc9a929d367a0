import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jarsOfTests, requiresKafka, serverOfThisRun } from "@onsale/testing";
import { expect, onTestFinished, test } from "vitest";
import { backlogIsTold, drillBrokerOutage, intakeGoesOn, type Outage } from "../src/steady/broker-outage.ts";

test.skipIf(!(await requiresKafka()))(
  "while the broker is frozen or dead changes are taken and counted, and once it is back all are applied",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "onsale-outage-"));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const report = await drillBrokerOutage({
      serverUrl: await serverOfThisRun(),
      broker: { directory, jars: jarsOfTests, machine: "quick" },
      ...{ awayMs: 6_000, say: console.log },
    });
    // How long a commit may take is judged in the recorded run: here other tests have the machine.
    for (const { id, violations } of report.invariants) if (id !== "intake-goes-on") expect(violations, id).toEqual([]);
    const { frozen, killed } = report.figures.outages as Record<string, Outage>;
    for (const outage of [frozen, killed]) {
      expect(outage?.changes).toBe(3_000);
      const [first = 0, last = 0] = [outage?.waiting[0], outage?.waiting.at(-1)];
      expect(last).toBeGreaterThan(first);
      expect(last).toBeGreaterThan(1_000);
    }
  },
  300_000,
);

test("what was promised of an outage is judged by its bounds", () => {
  const outage: Outage = {
    ...{ changes: 10, commitP99Ms: 5, longestCommitMs: 2_000, waiting: [4, 9], underWay: 10, caughtUpMs: 1 },
  };
  const isBroken = (judge: (outage: Outage) => { violations: readonly string[] }, changed: Partial<Outage>) =>
    judge({ ...outage, ...changed }).violations.length > 0;
  expect([isBroken(intakeGoesOn, {}), isBroken(intakeGoesOn, { longestCommitMs: 2_001 })]).toEqual([false, true]);
  expect([isBroken(backlogIsTold, {}), isBroken(backlogIsTold, { underWay: 11 })]).toEqual([false, true]);
  expect(isBroken(backlogIsTold, { waiting: [0], underWay: 0 })).toBe(true);
});
