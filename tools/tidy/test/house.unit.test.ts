import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { exceptionsIn, longestFiles, longestFunctions, readHouse, rules, shown } from "../src/index.ts";

const root = new URL("../../../", import.meta.url);
const house = await readHouse(root);

test.each(Object.entries(rules((path) => existsSync(new URL(path, root)))))("%s", (_, rule) => {
  expect(rule(house).map(shown)).toEqual([]);
});

test("every exception names a rule, and is told", () => {
  const exceptions = exceptionsIn(house);
  for (const { path, line, rule, reason } of exceptions) console.log(`${path}:${line} despite "${rule}": ${reason}`);
  const names = new Set(Object.keys(rules(() => true)));
  expect(exceptions.filter(({ rule }) => !names.has(rule))).toEqual([]);
});

test("there was something to look at", () => {
  expect(house.sources.length).toBeGreaterThan(100);
  expect(house.packages.length).toBeGreaterThan(15);
});

test("the longest files and functions are told", () => {
  const told = [...longestFiles(house, 5), ...longestFunctions(house, 5)].map(({ what, lines }) => `${lines} ${what}`);
  console.log(told.join("\n"));
  expect(told).toHaveLength(10);
});
