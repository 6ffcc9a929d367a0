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
  await places.taken();
  const waiting = [places.taken(), places.taken()];
  const had: number[] = [];
  for (const [index, place] of waiting.entries()) void place.then(() => had.push(index));
  places.giveBack();
  await waiting[0];
  expect(had).toEqual([0]);
  places.giveBack();
  await waiting[1];
  expect(had).toEqual([0, 1]);
});
