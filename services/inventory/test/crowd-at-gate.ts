/** The same random requests to a shop with a gate and to one without. */

import { testDatabase, testRedis } from "@onsale/testing";
import fc from "fast-check";
import { expect } from "vitest";
import { type GateRequest, StockGate } from "../src/gate/stock-gate.ts";
import { books, buyerId, content, hear, placed, receive, states } from "./books.ts";

const skus = Array.from({ length: 20 }, (_, index) => `sku-${String(index).padStart(2, "0")}`);
const request = (number: number): GateRequest => ({ personId: buyerId(number), key: `order-${number}` });
const linesOf = (lines: Record<string, number>) => Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity }));
const stockOf = (units: number) => Object.fromEntries(skus.map((sku) => [sku, units]));

/** A shop with a gate beside one without, both with the same on their shelves. */
async function openShops(units: number) {
  const [own, other, place] = await Promise.all([testDatabase(content), testDatabase(content), testRedis()]);
  const [gated, plain] = [own.open("inventory"), other.open("inventory")];
  await Promise.all([receive(gated, stockOf(units)), receive(plain, stockOf(units))]);
  return {
    ...{ gated, plain, gate: new StockGate(place.open()) },
    [Symbol.asyncDispose]: async () =>
      void (await Promise.all([own.close(), other.close(), place[Symbol.asyncDispose]()])),
  };
}

/** Requests for one unit each, five hundred at a time, for half of which there is none: as many are granted as without the gate. */
export async function manyAtATime(requests: number): Promise<void> {
  await using shops = await openShops(requests / 2 / skus.length);
  const { gated, plain, gate } = shops;
  const wanted = fc.sample(fc.constantFrom(...skus), { seed: 11, numRuns: requests });
  const turnedAway: number[] = [];
  for (let first = 0; first < wanted.length; first += 500) {
    const crowd = wanted.slice(first, first + 500).map((sku, index) => ({ number: first + index + 1, sku }));
    const admissions = await Promise.all(
      crowd.map(({ number, sku }) => gate.admit(request(number), linesOf({ [sku]: 1 }))),
    );
    const through = crowd.filter((_, index) => admissions[index]?.kind === "through");
    turnedAway.push(...crowd.filter((_, index) => admissions[index]?.kind !== "through").map(({ number }) => number));
    const ordersOf = (some: typeof crowd) => some.map(({ number, sku }) => placed(number, { [sku]: 1 }));
    await hear(gated, "reserve-stock", ordersOf(through), { gate });
    await hear(plain, "reserve-stock", ordersOf(crowd));
  }
  const granted = await states(plain);
  tell(
    turnedAway.length,
    requests,
    turnedAway.filter((number) => granted[number] === "HELD"),
  );
  expect(await books(gated)).toEqual(await books(plain));
  expect(turnedAway.length).toBeGreaterThan(requests / 4);
}

// Without a gate a batch is decided one by one, in the order of arrival, as single requests are; and takes a fiftieth of the time.
const heardAtOnce = 100;

/** Requests for several things, one at a time: each has the same answer as without the gate. */
export async function oneAtATime(requests: number): Promise<void> {
  await using shops = await openShops(Math.ceil(requests / 16));
  const { gated, plain, gate } = shops;
  const wish = fc.dictionary(fc.constantFrom(...skus), fc.integer({ min: 1, max: 5 }), { minKeys: 1, maxKeys: 3 });
  const wishes = fc
    .sample(wish, { seed: 12, numRuns: requests })
    .map((lines, index) => ({ number: index + 1, lines: { ...lines } }));
  const turnedAway = new Set<number>();
  for (const { number, lines } of wishes) {
    const admission = await gate.admit(request(number), linesOf(lines));
    if (admission.kind === "sold-out") turnedAway.add(number);
    else await hear(gated, "reserve-stock", [placed(number, lines)], { gate });
    await gate.settled();
  }
  for (let first = 0; first < wishes.length; first += heardAtOnce) {
    const some = wishes.slice(first, first + heardAtOnce);
    await hear(
      plain,
      "reserve-stock",
      some.map(({ number, lines }) => placed(number, lines)),
    );
  }
  const [here, there] = [await states(gated), await states(plain)];
  const numbers = wishes.map(({ number }) => number);
  const answerOf = (number: number) => (turnedAway.has(number) ? "REFUSED" : here[number]);
  const differing = numbers.filter((number) => there[number] === undefined || answerOf(number) !== there[number]);
  tell(turnedAway.size, requests, differing);
  expect(differing).toEqual([]);
  expect(turnedAway.size).toBeGreaterThan(requests / 10);
}

function tell(turnedAway: number, requests: number, wrongly: readonly number[]): void {
  console.log(`${turnedAway} of ${requests} were turned away at the gate, ${wrongly.length} of them wrongly`);
}
