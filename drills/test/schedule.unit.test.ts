import { expect, test } from "vitest";
import { deathsOf } from "../src/kill.ts";
import { killPoints } from "../src/kill-points.ts";

const allPoints = Object.values(killPoints).flat();

test.each([1, 2, 5, 14, 200])("%i rounds, wherever they begin, come to every kill point", (rounds) => {
  for (const from of [1, 7, 101]) {
    const hit = new Set(
      Array.from({ length: rounds }, (_, index) => deathsOf(from + index, { rounds, seed: 3 })).flat(),
    );
    expect([...hit].sort()).toEqual([...allPoints].sort());
  }
});

test("the seed decides the schedule", () => {
  const schedule = (seed: number) => [1, 2, 3].map((round) => deathsOf(round, { rounds: 20, seed }));
  expect(schedule(1)).toEqual(schedule(1));
  expect(schedule(1)).not.toEqual(schedule(2));
});

test("in a long count a writer and a consumer die in each round", () => {
  const deaths = deathsOf(17, { rounds: 200, seed: 1 });
  expect(deaths.map((point) => point.startsWith("writer.")).sort()).toEqual([false, true]);
});
