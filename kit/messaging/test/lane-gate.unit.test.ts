import { expect, test } from "vitest";
import { LaneGate } from "../src/consumers/lane-gate.ts";

const never = new AbortController().signal;

test("a bulk batch waits while an online one runs, and is smaller right after it", async () => {
  const gate = new LaneGate();
  await gate.run("bulk", 1_000, () => elapse(200));
  const online = Promise.withResolvers<void>();
  const running = gate.run("online", 1, () => online.promise);
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
  const running = gate.run("online", 1, () => stuck.promise);
  expect(await gate.turn("bulk", 1_000, never)).toBe(200);
  stuck.resolve();
  await running;
});

test("a bulk batch waits while an online one is read, which alone makes it no smaller", async () => {
  const gate = new LaneGate();
  await gate.run("bulk", 1_000, () => elapse(200));
  const rows = Promise.withResolvers<void>();
  const reading = gate.read("online", () => rows.promise);
  let began = false;
  const bulk = gate.turn("bulk", 1_000, never).finally(() => {
    began = true;
  });
  await new Promise(setImmediate);
  expect(began).toBe(false);
  rows.resolve();
  await reading;
  expect(await bulk).toBe(1_000);
});

test("a bulk batch beside online ones is as large as a few milliseconds allow, and never tiny", async () => {
  const gate = new LaneGate();
  const batchBeside = async (events: number, milliseconds: number): Promise<number> => {
    await gate.run("online", 1, async () => undefined);
    await gate.run("bulk", events, () => elapse(milliseconds));
    await gate.run("online", 1, async () => undefined);
    return await gate.turn("bulk", 1_000, never);
  };
  let size = 0;
  for (let batch = 0; batch < 30; batch++) size = await batchBeside(1_000, 2);
  expect(size).toBe(1_000);
  for (let batch = 0; batch < 30; batch++) size = await batchBeside(10, 5);
  expect(size).toBe(200);
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
