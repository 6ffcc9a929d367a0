import { expect, test } from "vitest";
import { LaneGate } from "../src/consumers/lane-gate.ts";

const never = new AbortController().signal;

test("a bulk batch waits while an online one runs, and is smaller right after it", async () => {
  const gate = new LaneGate();
  await gate.run("bulk", () => elapse(200));
  const online = Promise.withResolvers<void>();
  const running = gate.run("online", () => online.promise);
  let began = false;
  const bulk = gate.turn("bulk", 1_000, never).then((limit) => {
    began = true;
    return limit;
  });
  await new Promise(setImmediate);
  expect(began).toBe(false);
  online.resolve();
  await running;
  expect(await bulk).toBe(200);
});

test("the bulk lane is never starved: it waits no longer than its last batch took", async () => {
  const gate = new LaneGate();
  const stuck = Promise.withResolvers<void>();
  const running = gate.run("online", () => stuck.promise);
  expect(await gate.turn("bulk", 1_000, never)).toBe(200);
  stuck.resolve();
  await running;
});

test("alone, each lane has its whole limit", async () => {
  const gate = new LaneGate();
  expect(await gate.turn("bulk", 1_000, never)).toBe(1_000);
  expect(await gate.turn("online", 1_000, never)).toBe(1_000);
});

/** Work of a known length: what is tested is that its length is remembered. */
async function elapse(milliseconds: number): Promise<void> {
  const until = performance.now() + milliseconds;
  while (performance.now() < until) await new Promise(setImmediate);
}
