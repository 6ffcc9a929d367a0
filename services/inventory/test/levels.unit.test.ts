import { expect, test } from "vitest";
import { levelsAfter } from "../src/gate/levels.ts";
import type { Decision, Shelves } from "../src/stock.ts";

const shelves: Shelves = new Map([
  ["mug", { available: 3, perBuyerLimit: null, places: null, units: null }],
  ["cup", { available: 5, perBuyerLimit: null, places: null, units: null }],
]);

const reserved = (units: number): Decision =>
  ({ kind: "reserved", wish: {}, holds: [{ sku: "mug", units }] }) as unknown as Decision;

test("what a batch left is told of every shelf that it looked at, also where nobody got anything", () => {
  const refused = { kind: "refused", wish: {}, reason: "SOLD_OUT", skus: ["cup"] } as unknown as Decision;
  expect(levelsAfter(shelves, [reserved(2), refused, reserved(1)], 7)).toEqual([
    { sku: "mug", left: 0, version: 7 },
    { sku: "cup", left: 5, version: 7 },
  ]);
});
