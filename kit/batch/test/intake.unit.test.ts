import { DatabaseError } from "pg";
import { describe, expect, test } from "vitest";
import { Intake, IntakeFullError } from "../src/intake.ts";

/** Decides a batch when it is told to. */
function gate() {
  const batches: number[][] = [];
  const opens: (() => void)[] = [];
  const decide = async (batch: readonly number[]) => {
    batches.push([...batch]);
    await new Promise<void>((open) => {
      opens.push(open);
    });
    return batch.map((request) => request * 10);
  };
  return { batches, decide, open: () => opens.shift()?.() };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("batches", () => {
  test("what comes while one commits is the next, in the order in which it came", async () => {
    const { batches, decide, open } = gate();
    const intake = new Intake({ decide, batchSize: 3 });
    const first = [1, 2].map((request) => intake.submit(request));
    await turn();
    const next = range(3, 7).map((request) => intake.submit(request));
    open();
    expect(await Promise.all(first)).toEqual([10, 20]);
    await turn();
    open();
    await turn();
    open();
    expect(await Promise.all(next)).toEqual([30, 40, 50, 60, 70]);
    expect(batches).toEqual([
      [1, 2],
      [3, 4, 5],
      [6, 7],
    ]);
  });

  test("more than may wait are refused at once, and it goes on", async () => {
    const { decide, open } = gate();
    const intake = new Intake({ decide, batchSize: 1, queueLimit: 2 });
    const first = intake.submit(1);
    await turn();
    const waiting = [intake.submit(2), intake.submit(3)];
    await expect(intake.submit(4)).rejects.toThrow(IntakeFullError);
    for (const outcome of [first, ...waiting]) {
      open();
      await outcome;
      await turn();
    }
    const later = intake.submit(5);
    await turn();
    open();
    expect(await later).toBe(50);
  });
});

describe("a batch that fails", () => {
  const lockTimeout = Object.assign(new DatabaseError("a lock", 0, "error"), { code: "55P03" });
  const unavailable = Object.assign(new Error("away"), { code: "ECONNREFUSED" });

  test("is tried in parts, until only the requests that can't be decided fail", async () => {
    const sizes: number[] = [];
    const bad = new Set([7, 500, 501]);
    const intake = new Intake({
      decide: async (batch: readonly number[]) => {
        sizes.push(batch.length);
        if (batch.some((request) => bad.has(request))) throw lockTimeout;
        return batch;
      },
    });
    const settled = await Promise.allSettled(range(1, 1_000).map((request) => intake.submit(request)));
    expect(settled.flatMap(({ status }, index) => (status === "rejected" ? index + 1 : []))).toEqual([...bad]);
    // One whole batch, its parts, and the bad parts one by one: the culprit waits for three lock timeouts, not ten.
    expect(new Set(sizes)).toEqual(new Set([1_000, 32, 8, 1]));
    expect(sizes.filter((size) => size === 1)).toHaveLength(64);
  });

  test("for want of a database fails as a whole: its parts would only wait as well", async () => {
    let calls = 0;
    const intake = new Intake({
      decide: async (_: readonly number[]): Promise<number[]> => {
        calls++;
        throw unavailable;
      },
    });
    const settled = await Promise.allSettled(range(1, 10).map((request) => intake.submit(request)));
    expect(settled.every((it) => it.status === "rejected" && it.reason === unavailable)).toBe(true);
    expect(calls).toBe(1);
  });

  test("because it was given too few outcomes fails every request of it, and none hangs", async () => {
    const intake = new Intake({ decide: async () => [] as number[] });
    const settled = await Promise.allSettled([intake.submit(1), intake.submit(2)]);
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });
});
