import type { Database } from "@onsale/postgres";
import { everyCrashPoint } from "@onsale/testing";
import { expect, test } from "vitest";
import { addSql, open, receiptSql, service, stateOf } from "./till.ts";

const scenario = {
  content: { services: [service] },
  schema: "till",
  prepare: open,
  outcome: stateOf,
};

/** Receipt and money in one transaction; a second delivery finds the receipt. */
const takeMoney = (database: Database) =>
  database.transaction(async (tx) => {
    const fresh = await tx.query(receiptSql, ["order-1", 100]);
    if (fresh.length > 0) await tx.execute(addSql, [100]);
  });

test("a use case that is right has one outcome, wherever it is broken off", async () => {
  const outcomes: unknown[] = [];
  const { points, steps } = await everyCrashPoint({
    ...scenario,
    deliver: takeMoney,
    check: (outcome) => outcomes.push(outcome),
  });
  // Two statements and a commit, each failing in four ways.
  expect({ points, steps }).toEqual({ points: 12, steps: 3 });
  expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome)))).toEqual(new Set(['{"cents":100,"receipts":1}']));
});

test("a use case that writes outside its transaction is found out", async () => {
  const forgetful = everyCrashPoint({
    ...scenario,
    deliver: async (database: Database) => {
      const fresh = await database.query(receiptSql, ["order-1", 100]);
      if (fresh.length > 0) await database.execute(addSql, [100]);
    },
  });
  await expect(forgetful).rejects.toThrow(/After an error after till\.receipt \(step 1\) and a second delivery/);
});

test("a use case that does its work again is found out", async () => {
  const repeating = everyCrashPoint({
    ...scenario,
    deliver: (database: Database) => database.transaction((tx) => tx.execute(addSql, [100])).then(() => undefined),
  });
  // Undisturbed it is delivered twice, too: 200. Broken off before its commit it is 100.
  await expect(repeating).rejects.toThrow(/and a second delivery/);
});

test("a call to the outside is a step as well", async () => {
  const calls: string[] = [];
  const { steps } = await everyCrashPoint({
    ...scenario,
    deliver: async (_, step) => {
      await step("provider.charge", async () => calls.push("charge"));
    },
  });
  expect(steps).toBe(1);
});

test("a use case that never touched the database it was given hit no point, which is a failure", async () => {
  const idle = everyCrashPoint({ ...scenario, deliver: async () => undefined });
  await expect(idle).rejects.toThrow("No crash point was hit");
});

test("a use case that fails undisturbed fails the test with its own error", async () => {
  const failing = everyCrashPoint({ ...scenario, deliver: () => Promise.reject(new Error("a plain fault")) });
  await expect(failing).rejects.toThrow("a plain fault");
});
