import { afterEach, expect, test, vi } from "vitest";
import { ids } from "../src/ids.ts";

afterEach(() => void vi.useRealTimers());

const many = (count: number) => Array.from({ length: count }, () => ids.uuid());

test("ids are UUIDs of version 7 that begin with the millisecond", () => {
  const from = Date.now();
  for (const id of many(1_000)) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const millisecond = Number.parseInt(id.replace("-", "").slice(0, 12), 16);
    expect(millisecond).toBeGreaterThanOrEqual(from);
    expect(millisecond).toBeLessThanOrEqual(Date.now());
  }
});

test("each is greater than the one before, also when the clock is set back", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const now = Date.now();
  const told = [0, 0, -5_000, -4_999, 1, 0].flatMap((ms) => {
    vi.setSystemTime(now + ms);
    return many(500);
  });
  expect(told.toSorted()).toEqual(told);
  expect(new Set(told).size).toBe(told.length);
});

test("no two share the bytes of chance at their end", () => {
  const ends = many(2_000).map((id) => id.slice(-11));
  expect(new Set(ends).size).toBe(ends.length);
});
