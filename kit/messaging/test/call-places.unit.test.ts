import { expect, test } from "vitest";
import { CallPlaces } from "../src/consumers/call-places.ts";

test("there are so many places and no more; who waits gets one when one is given back, in turn and once", () => {
  const places = new CallPlaces(2);
  const given: string[] = [];
  const first = () => void given.push("first");
  const second = () => void given.push("second");
  expect([places.take(first), places.take(first)]).toEqual([true, true]);
  expect([places.take(first), places.take(second), places.take(first)]).toEqual([false, false, false]);
  places.giveBack();
  expect(given).toEqual(["first"]);
  places.giveBack();
  expect(given).toEqual(["first", "second"]);
  places.giveBack();
  expect(given).toHaveLength(2);
  expect([places.take(first), places.take(first)]).toEqual([true, false]);
});

test("a place that is waited for is had by one only", async () => {
  const places = new CallPlaces(1);
  const { signal } = new AbortController();
  await places.taken(signal);
  const waiting = [places.taken(signal), places.taken(signal)];
  const had: number[] = [];
  for (const [index, place] of waiting.entries()) void place.then(() => had.push(index));
  places.giveBack();
  await waiting[0];
  expect(had).toEqual([0]);
  places.giveBack();
  await waiting[1];
  expect(had).toEqual([0, 1]);
});

test("who waits no longer is given none: it goes to the next", async () => {
  const places = new CallPlaces(1);
  const stop = new AbortController();
  const other = new AbortController();
  expect(await places.taken(stop.signal)).toBe(true);
  const [tired, patient] = [places.taken(stop.signal), places.taken(other.signal)];
  stop.abort();
  expect(await tired).toBe(false);
  expect(await places.taken(stop.signal)).toBe(false);
  places.giveBack();
  expect(await patient).toBe(true);
  expect(places.take(() => undefined)).toBe(false);
});
