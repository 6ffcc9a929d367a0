import { isAllShown, type LockLabReport, labLocks } from "@onsale/drills";
import { requiresRedis, serverOfThisRun, testRedis } from "@onsale/testing";
import { beforeAll, describe, expect, test } from "vitest";

describe.skipIf(!(await requiresRedis()))("the lab of locks", () => {
  let report: LockLabReport;
  beforeAll(async () => {
    await using redis = await testRedis();
    report = await labLocks({ serverUrl: await serverOfThisRun(), redis, say: () => undefined });
  });

  test("shows every failure, and that each cure holds", () => {
    expect(report.labs.filter(({ shown }) => !shown)).toEqual([]);
    expect(isAllShown(report)).toBe(true);
    expect(report.labs.map(({ name, with: cures }) => [name, ...Object.keys(cures)])).toEqual([
      ["lost update", "row lock", "version"],
      ["deadlock by foreign key", "parent first", "weaker lock"],
      ["early unlock", "unlock after commit"],
      ["lease overrun", "fencing token"],
      ["100 buyers for 100 coupons", "row lock", "redis lock"],
    ]);
  });

  test("unlocked, most of the coupons remain though a hundred buyers have one; locked, none is left", () => {
    expect(report.labs.at(-1)).toMatchObject({
      without: { sold: 100, left: 95 },
      with: { "row lock": { sold: 100, left: 0 }, "redis lock": { sold: 100, left: 0 } },
    });
  });
});
