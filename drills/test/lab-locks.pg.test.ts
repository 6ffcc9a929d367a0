import { isAllShown, labInWords, labLocks } from "@onsale/drills";
import { declaredStatements, findMisdeclared, migrate, openDescriber } from "@onsale/postgres";
import { serverOfThisRun, testDatabase } from "@onsale/testing";
import { expect, test } from "vitest";
import { isShown } from "../src/locks/lab.ts";

test("without a Redis the lab names what it did not show, and does not pass", async () => {
  const why = "Redis is missing.";
  const report = await labLocks({
    serverUrl: await serverOfThisRun(),
    redis: { missing: why },
    say: () => undefined,
  });
  expect(report.labs.map(({ name, shown }) => [name, shown])).toEqual([
    ["lost update", true],
    ["deadlock by foreign key", true],
    ["100 buyers for 100 coupons", true],
  ]);
  expect(report.skipped).toEqual([
    { name: "early unlock", why },
    { name: "lease overrun", why },
    { name: "100 buyers for 100 coupons, redis lock", why },
  ]);
  expect(isAllShown(report)).toBe(false);
  expect(labInWords(report)).toContain("skipped    lease overrun: Redis is missing.");
});

test("a failure that did not happen, and a cure that did not hold, are not shown", () => {
  const happened = { lost: 1 };
  expect(isShown("lost", happened, { cure: { lost: 0 } })).toBe(true);
  expect(isShown("lost", { lost: 0 }, { cure: { lost: 0 } })).toBe(false);
  expect(isShown("lost", happened, { cure: { lost: 0 }, other: { lost: 1 } })).toBe(false);
  expect(isShown("lost", happened, {})).toBe(false);
  expect(isShown("lost", happened, { cure: {} })).toBe(false);
});

test("every statement of the lab takes and gives what it is declared to", async () => {
  await using own = await testDatabase({ schema: "lab", sets: [] });
  const folder = new URL("../migrations/labs/", import.meta.url);
  await migrate({
    ...{ adminUrl: own.adminUrl, schema: "labs", role: "onsale_labs" },
    sets: [{ owner: "labs", directory: folder }],
  });
  await using describer = await openDescriber({ url: own.adminUrl, schema: "labs" });
  const statements = declaredStatements().filter(({ name }) => name.startsWith("labs."));
  expect(statements.length).toBeGreaterThan(8);
  expect(await findMisdeclared(describer, statements)).toEqual([]);
});
