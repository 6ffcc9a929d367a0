import { expect, test } from "vitest";
import { deathsOf, killTogether } from "../src/kill/kill.ts";
import { plantedTogether } from "../src/kill/planted.ts";
import { killPoints, type Role, roleAt } from "../src/theatre/kill-points.ts";

const allPoints = Object.values(killPoints).flat();
const roles: readonly Role[] = ["writer", "consumer", "relay"];

test.each([1, 2, 5, 14, 200])("%i rounds, wherever they begin, come to every kill point", (rounds) => {
  for (const from of [1, 7, 101]) {
    const hit = new Set(
      Array.from({ length: rounds }, (_, index) => deathsOf(from + index, { rounds, seed: 3, roles })).flat(),
    );
    expect([...hit].sort()).toEqual([...allPoints].sort());
  }
});

test("the seed decides the schedule", () => {
  const schedule = (seed: number) => [1, 2, 3].map((round) => deathsOf(round, { rounds: 20, seed, roles }));
  expect(schedule(1)).toEqual(schedule(1));
  expect(schedule(1)).not.toEqual(schedule(2));
});

test("in a long count one of each role dies in each round", () => {
  const deaths = deathsOf(17, { rounds: 200, seed: 1, roles });
  expect(deaths.map(roleAt).sort()).toEqual(["consumer", "relay", "writer"]);
});

test("a drill on several logs holds where it holds on each, and a drill on none does not", () => {
  const on = (log: string, verdict: "pass" | "fail", hits: number) => ({
    ...{ name: "kill", verdict, seconds: 1 },
    invariants: [{ id: "none-lost", checked: 1, violations: [] }],
    figures: { log, rounds: 2, killPoints: { "writer.any-moment": hits } },
  });
  const both = killTogether([on("postgres", "pass", 2), on("kafka", "pass", 1)]);
  expect(both).toMatchObject({ verdict: "pass", seconds: 2 });
  expect(both.figures).toMatchObject({ rounds: 4, killPoints: { "writer.any-moment": 3 } });
  expect(both.invariants.map(({ id }) => id)).toEqual(["postgres: none-lost", "kafka: none-lost"]);
  expect(killTogether([on("postgres", "pass", 2), on("kafka", "fail", 1)]).verdict).toBe("fail");
  expect(killTogether([]).verdict).toBe("fail");
});

test("a fault that is planted on two logs is caught when it is on both", () => {
  const on = (log: string, caught: number) => ({
    ...{ name: "planted", verdict: caught === 2 ? ("pass" as const) : ("fail" as const), seconds: 1, invariants: [] },
    figures: { log, planted: 2, caught },
  });
  expect(plantedTogether([on("postgres", 2), on("kafka", 2)])).toMatchObject({
    verdict: "pass",
    figures: { planted: 4, caught: 4 },
  });
  expect(plantedTogether([on("postgres", 2), on("kafka", 1)])).toMatchObject({
    verdict: "fail",
    figures: { planted: 4, caught: 3, logs: { kafka: { caught: 1 } } },
  });
});
