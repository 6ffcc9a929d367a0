import { expect, test } from "vitest";
import { endedBetween } from "../src/outbox/window.ts";

test.each([
  ["nothing was open", "10:10:", "20:20:", []],
  ["what was open still is", "10:12:10,11", "10:30:10,11,25", []],
  ["what was open has ended", "10:12:10,11", "30:30:", ["10", "11"]],
  ["some of it has", "10:14:10,11,13", "11:30:11,20", ["10", "13"]],
  ["a number that only begins like another", "10:120:10,100", "100:130:100,101", ["10"]],
  ["a later snapshot that is none: it knows nothing of these yet", "10:40:10,35", "20:30:", ["10"]],
  [
    "more than 53 bits",
    "9007199254740992:9007199254740994:9007199254740993",
    "9007199254740994:9007199254740994:",
    ["9007199254740993"],
  ],
])("transactions that ended between two snapshots: %s", (_, earlier, later, ended) => {
  expect(endedBetween(earlier, later)).toEqual(ended);
});
