import { expect, test } from "vitest";
import { Findings, type Invariant, reportOf } from "../src/report.ts";
import { type Effect, type Fact, judge } from "../src/theatre/judge.ts";

const facts: Fact[] = [
  { token: "a1", key: "a", version: 1 },
  { token: "a2", key: "a", version: 2 },
  { token: "b1", key: "b", version: 1 },
];
const effects: Effect[] = [
  { token: "a1", key: "a" },
  { token: "b1", key: "b" },
  { token: "a2", key: "a" },
];

const violationsOf = (invariants: readonly Invariant[]) =>
  Object.fromEntries(invariants.filter((it) => it.violations.length > 0).map(({ id, violations }) => [id, violations]));

test("one effect for each change, in the order of its key: nothing to say, and everything was looked at", () => {
  const invariants = judge(facts, effects, "sink");
  expect(violationsOf(invariants)).toEqual({});
  expect(invariants.map(({ checked }) => checked)).toEqual([3, 3, 3, 3]);
});

test("an effect that is missing is named", () => {
  const without = effects.filter(({ token }) => token !== "b1");
  expect(violationsOf(judge(facts, without, "sink"))).toEqual({ "none-lost": ["sink never acted on version 1 of b"] });
});

test("an effect that is there twice is named, and is not taken for disorder", () => {
  const twice = [...effects, { token: "a1", key: "a" }];
  expect(violationsOf(judge(facts, twice, "sink"))).toEqual({ "one-effect": ["sink acted twice on version 1 of a"] });
});

test("two effects of a key in the wrong order are named", () => {
  expect(violationsOf(judge(facts, [...effects].reverse(), "sink"))).toEqual({
    "key-order": ["sink acted on version 1 of a after version 2"],
  });
});

test("an effect of a change that was rolled back is named, and one missing beside it does not hide behind it", () => {
  const swapped = effects.map((effect) => (effect.token === "b1" ? { token: "x", key: "b" } : effect));
  expect(violationsOf(judge(facts, swapped, "sink"))).toEqual({
    "none-lost": ["sink never acted on version 1 of b"],
    "none-invented": ["sink acted on b for a change that was not committed (x)"],
  });
});

test("a drill passes only when everything was checked and nothing was broken", () => {
  const verdictOf = (invariants: readonly Invariant[]) =>
    reportOf("test", { invariants, figures: {}, startedAt: 0 }).verdict;
  expect(verdictOf([{ id: "a", checked: 1, violations: [] }])).toBe("pass");
  expect(verdictOf([{ id: "a", checked: 1, violations: ["broken"] }])).toBe("fail");
  expect(verdictOf([{ id: "a", checked: 0, violations: [] }])).toBe("fail");
  expect(verdictOf([])).toBe("fail");
});

test("findings of many rounds are added up, and a flood of violations is counted instead of told", () => {
  const findings = new Findings();
  findings.note("a", 10, ["first"]);
  findings.note("a", 5);
  findings.note(
    "b",
    1,
    Array.from({ length: 30 }, (_, index) => `violation ${index}`),
  );
  expect(findings.invariants[0]).toEqual({ id: "a", checked: 15, violations: ["first"] });
  expect(findings.invariants[1]?.violations).toHaveLength(21);
  expect(findings.invariants[1]?.violations.at(-1)).toBe("and 10 more");
});
