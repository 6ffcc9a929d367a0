import { expect, test } from "vitest";
import { ThreadTurn } from "../src/consumers/thread-turn.ts";

test("a turn of the thread ends by itself, what was ready goes first, and another begins", async () => {
  const told: string[] = [];
  const turn = new ThreadTurn();
  setImmediate(() => told.push("somebody else"));
  while (!turn.isOver) Math.random();
  told.push("the first part");
  await turn.passOn();
  told.push("the second part");
  while (!turn.isOver) Math.random();
  expect(told).toEqual(["the first part", "somebody else", "the second part"]);
});
