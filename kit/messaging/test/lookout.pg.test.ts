import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lookout } from "../src/outbox/lookout.ts";
import { type Doors, openDoors } from "./doors.ts";

let doors: Doors;
beforeAll(async () => {
  doors = await openDoors();
});
afterAll(() => doors[Symbol.asyncDispose]());

test("readers that ask together are given one window, and who asks later has a later one", async () => {
  const lookout = new Lookout({ database: doors.beta });
  const [one, other] = await Promise.all([lookout.windowsOf("alpha").next(), lookout.windowsOf("alpha").next()]);
  expect(other).toBe(one);
  expect(await lookout.windowsOf("alpha").next()).not.toBe(one);
});

test("what was committed before somebody asks is in the window, though one was just being taken", async () => {
  const windows = new Lookout({ database: doors.beta }).windowsOf("alpha");
  const { highs } = await windows.next();
  const beingTaken = windows.next();
  // In the turn after the one in which it was asked for, it is being taken.
  await nextTurn();
  await nextTurn();
  await doors.tell(["a"], [1]);
  const [before, after] = await Promise.all([beingTaken, windows.next()]);
  expect(before.highs.online).toBe(highs.online);
  expect(after.highs.online).toBe(highs.online + 1);
});

test("a window that can't be taken is everybody's who waits for it, and the next one is taken", async () => {
  const windows = new Lookout({ database: doors.beta }).windowsOf("alpha");
  await doors.admin.query("alter function alpha.outbox_fence rename to hidden");
  const asked = await Promise.allSettled([windows.next(), windows.next()]);
  expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await doors.admin.query("alter function alpha.hidden rename to outbox_fence");
  expect((await windows.next()).highs.online).toBeGreaterThanOrEqual(0);
});

test("who rests is woken together with the others, and not when it has gone", async () => {
  const lookout = new Lookout({ database: doors.beta, pollMs: 20 });
  const woken: string[] = [];
  lookout.onBeat(() => woken.push("gone"))();
  await Promise.all(
    ["one", "other"].map(async (name) => {
      await new Promise<void>((resolve) => lookout.onBeat(resolve));
      woken.push(name);
      // Whoever is woken first finds that the other has been, too.
      await Promise.resolve();
      expect(woken).toEqual(["one", "other"]);
    }),
  );
});
