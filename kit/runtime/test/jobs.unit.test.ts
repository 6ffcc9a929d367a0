import { expect, test } from "vitest";
import { startRecurringWork } from "../src/jobs.ts";
import { metrics } from "../src/telemetry.ts";

/** Resolves when `times` runs have begun. */
function counted(times: number) {
  const reached = Promise.withResolvers<void>();
  let runs = 0;
  return { reached: reached.promise, count: () => void (++runs === times && reached.resolve()), runs: () => runs };
}

test("runs of one job never overlap", async () => {
  let underWay = 0;
  let most = 0;
  const { reached, count } = counted(5);
  const running = startRecurringWork([
    {
      name: "test.single",
      everyMs: 0,
      async run() {
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
        count();
      },
    },
  ]);
  await reached;
  await running.drain();
  expect(most).toBe(1);
});

test("a job that fails is counted and tried again, and the others go on", async () => {
  const failing = counted(2);
  const healthy = counted(3);
  const running = startRecurringWork([
    {
      name: "test.failing",
      everyMs: 1,
      async run() {
        failing.count();
        throw new Error("the database is away");
      },
    },
    { name: "test.healthy", everyMs: 1, run: async () => healthy.count() },
  ]);
  await Promise.all([failing.reached, healthy.reached]);
  await running.drain();
  expect(await metrics.metrics()).toMatch(/onsale_job_failed_total\{job="test.failing"\} [2-9]/);
});

test("a drain tells the run under way to end, waits for it, and starts none", async () => {
  const begun = Promise.withResolvers<void>();
  let runs = 0;
  let ended = false;
  const running = startRecurringWork([
    {
      name: "test.long",
      everyMs: 0,
      async run(signal) {
        runs++;
        begun.resolve();
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        await new Promise((resolve) => setImmediate(resolve));
        ended = true;
      },
    },
  ]);
  await begun.promise;
  await running.drain();
  expect({ runs, ended }).toEqual({ runs: 1, ended: true });
});
