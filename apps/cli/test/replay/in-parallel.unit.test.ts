import { expect, test } from "vitest";
import { atRate, inParallel } from "../../src/replay/in-parallel.ts";

const never = new AbortController().signal;
const numbers = Array.from({ length: 100 }, (_, index) => index);

/** Work that notes how many are at it at once. */
function gauge() {
  const state = { now: 0, most: 0, done: [] as number[] };
  const work = async (item: number): Promise<void> => {
    state.most = Math.max(state.most, ++state.now);
    await new Promise(setImmediate);
    state.now--;
    state.done.push(item);
  };
  return { state, work };
}

test("everything is done, never more than the width at once", async () => {
  const { state, work } = gauge();
  await inParallel(numbers, { width: 7, signal: never, work });
  expect(state.most).toBe(7);
  expect(state.done.toSorted((a, b) => a - b)).toEqual(numbers);
});

test("the first failure stops what has not begun, and is told after what has begun is over", async () => {
  const { state, work } = gauge();
  const failing = inParallel(numbers, {
    width: 3,
    signal: never,
    work: async (item) => {
      await work(item);
      if (item === 10) throw new Error("ten");
    },
  });
  await expect(failing).rejects.toThrow("ten");
  expect(state.now).toBe(0);
  expect(state.done.length).toBeLessThan(20);
});

test("a stop is heeded before the next item", async () => {
  const stop = new AbortController();
  const { state, work } = gauge();
  const stopped = inParallel(numbers, {
    width: 1,
    signal: stop.signal,
    work: async (item) => {
      await work(item);
      if (item === 4) stop.abort(new Error("enough"));
    },
  });
  await expect(stopped).rejects.toThrow("enough");
  expect(state.done).toEqual([0, 1, 2, 3, 4]);
});

test("at a rate, items begin on the clock and never before, though none has ended", async () => {
  const gate = Promise.withResolvers<void>();
  const begun: number[] = [];
  const startedAt = performance.now();
  await atRate(numbers.slice(0, 20), {
    width: 100,
    signal: never,
    ratePerSecond: 200,
    work: async () => {
      begun.push(performance.now() - startedAt);
      if (begun.length === 20) gate.resolve();
      await gate.promise;
    },
  });
  for (const [index, at] of begun.entries()) expect(at).toBeGreaterThanOrEqual(index * 5);
});

test("at a rate, the width still bounds what is under way", async () => {
  const { state, work } = gauge();
  await atRate(numbers, { width: 5, signal: never, ratePerSecond: 1_000_000, work });
  expect(state.most).toBe(5);
  expect(state.done).toHaveLength(100);
});

test("at a rate, a failure ends the run after what is under way", async () => {
  const { state, work } = gauge();
  const failing = atRate(numbers, {
    width: 5,
    signal: never,
    ratePerSecond: 1_000_000,
    work: async (item) => {
      await work(item);
      throw new Error("all wrong");
    },
  });
  await expect(failing).rejects.toThrow("all wrong");
  expect(state.now).toBe(0);
});
