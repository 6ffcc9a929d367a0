import { expect, test } from "vitest";
import { quantile } from "../src/figures.ts";
import { judgePromises, type Measured } from "../src/flood/promises.ts";

const kept: Measured = {
  ...{ quietP99Ms: 10, sharedP99Ms: 900, lanesP99Ms: 20, bulkAlonePerS: 20_000, bulkBesidePerS: 10_000 },
  ...{ shardsPerS: { 1: 800, 2: 1_600, 4: 1_600 }, onlineSales: { shared: 100, lanes: 100 }, events: 1_000 },
};

const broken = (measured: Measured): string[] =>
  judgePromises(measured).flatMap(({ id, violations }) => (violations.length > 0 ? [id] : []));

test("at its bounds every promise is kept", () => expect(broken(kept)).toEqual([]));

test.each<[string, Partial<Measured>]>([
  ["online-within-twice-quiet", { lanesP99Ms: 20.1 }],
  ["online-within-twice-quiet", { quietP99Ms: undefined }],
  ["one-lane-harms", { sharedP99Ms: 39 }],
  ["bulk-keeps-half", { bulkBesidePerS: 9_800 }],
  ["four-shards-twice-as-fast", { shardsPerS: { 1: 800, 4: 1_500 } }],
  ["four-shards-twice-as-fast", { shardsPerS: { 1: 800 } }],
])("%s is broken by %j", (id, measured) => expect(broken({ ...kept, ...measured })).toEqual([id]));

test("a quantile is a value that was measured", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect([quantile(hundred, 0.5), quantile(hundred, 0.99), quantile([], 0.5)]).toEqual([50, 99, undefined]);
});
