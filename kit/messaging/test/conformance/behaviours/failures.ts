/** What can't be applied waits with its key, becomes a dead letter, and comes back in its place. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import { dropLetter, listLetters, redriveLetter } from "../../../src/operations/index.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, type Process, painted, range, type Stage } from "../stage.ts";

const others = keys.filter((key) => key !== "key-3");
const by = { operator: "olga", reason: "the locksmith was here" };

export const failureBehaviours: readonly Behaviour[] = [
  {
    name: "a key that fails waits alone; after its last attempt its head is a dead letter with the cause, the rest behind it",
    async play(stage) {
      const jam = jamAt("key-3");
      const process = await stage.hear({ at: jam.at });
      await stage.tell(keys, [1, 2, 3]);
      await stage.expectSteps(others, [1, 2, 3]);
      await stage.untilDead(1);
      await stage.untilQuiet(process);
      expect(await stage.stepsOf("key-3")).toEqual([]);
      expect(await letters(stage)).toMatchObject([
        { key: "key-3", sequence: 1, attempts: 2, blocks: true, readable: true, cause: "Error: * is jammed" },
      ]);
      const { rows } = await stage.admin.query("select sequence::int as sequence from parked_event order by sequence");
      expect(rows).toEqual([{ sequence: 2 }, { sequence: 3 }]);
    },
  },
  {
    name: "a key that recovers before its last attempt is applied in order, before what comes later",
    async play(stage) {
      const jam = jamAt("key-3", 2);
      await stage.hear({ at: jam.at }, { attempts: 10 });
      await stage.tell(keys, [1, 2, 3]);
      await stage.expectSteps(keys, [1, 2, 3]);
      await stage.tell(keys, [4]);
      await stage.expectSteps(keys, range(1, 4));
      expect(await letters(stage)).toEqual([]);
    },
  },
  {
    name: "a type whose rule is to skip leaves its dead letter behind and flows on",
    async play(stage) {
      await stage.hear({
        at: async ({ key, sequence }) => {
          if (key === "key-3" && sequence === 2) throw new Error("unreadable");
        },
      });
      await stage.tell(keys, [1, 2, 3], { event: painted });
      await stage.expectSteps(others, [1, 2, 3]);
      await stage.expectSteps(["key-3"], [1, 3]);
      expect(await letters(stage)).toMatchObject([{ key: "key-3", sequence: 2, blocks: false }]);
    },
  },
  {
    name: "a dead letter that is redriven is applied first, then what waited behind it, then what comes",
    async play(stage) {
      const jam = jamAt("key-3");
      await stage.hear({ at: jam.at });
      await stage.tell(keys, [1, 2, 3]);
      await stage.untilDead(1);
      await stage.expectSteps(others, [1, 2, 3]);
      jam.free();
      await stage.tell(["key-3"], [4]);
      const id = await redriveOnly(stage, "redeliver");
      await stage.expectSteps(["key-3"], range(1, 4));
      const [first] = (await stage.effects()).filter(({ key }) => key === "key-3");
      expect(first?.id, "it keeps its id").toBe(id);
    },
  },
  {
    name: "a dead letter that is processed anew has an id of its own and says of which it is a replay",
    async play(stage) {
      const jam = jamAt("key-3");
      const process = await stage.hear({ at: jam.at });
      await stage.tell(["key-3"], [1, 2]);
      await stage.untilDead(1);
      jam.free();
      const id = await redriveOnly(stage, "reprocess");
      await stage.expectSteps(["key-3"], [1, 2]);
      const replay = process.given.find(({ replayOf }) => replayOf !== undefined);
      expect(replay).toMatchObject({ replayOf: id, key: "key-3", sequence: 1 });
      expect(replay?.id).not.toBe(id);
    },
  },
  {
    name: "a payload that its schema does not know is dead at once, and its key's neighbours flow",
    async play(stage) {
      const process = await stage.hear({
        at: async ({ data }) => {
          if (typeof (data as { step: unknown }).step !== "number") throw new Error("what step is this?");
        },
      });
      const writer = await stage.writer();
      await writer.slipIn("door.moved.v1", "key-3", 1, { id: "key-3", step: "first" });
      await stage.tell(others, [1]);
      await stage.expectSteps(others, [1]);
      await stage.untilDead(1);
      expect(await letters(stage)).toMatchObject([{ key: "key-3", sequence: 1, attempts: 1, blocks: true }]);
      expect(process.dead).toEqual([expect.stringMatching(/^MalformedError: It is no door\.moved\.v1: \/step /)]);
    },
  },
  {
    name: "an event whose data name another key than its own is kept apart, untried, and both keys have all of theirs",
    async play(stage) {
      const process = await stage.hear();
      const writer = await stage.writer();
      await writer.slipIn("door.moved.v1", "key-3", 2, { id: "key-5", step: 2 });
      await stage.untilDead(1);
      await stage.tell(keys, [1, 2]);
      await stage.expectSteps(keys, [1, 2]);
      await stage.untilQuiet(process);
      expect(await letters(stage)).toMatchObject([
        {
          ...{ blocks: false, readable: false },
          error: expect.stringMatching(/its key is "key-3".* of its data "key-5"/),
        },
      ]);
      expect(process.given).toHaveLength(2 * keys.length);
    },
  },
  {
    name: "what can't even be kept, in the middle and behind a key that waits, is a dead letter that can only be dropped",
    async play(stage) {
      const jam = jamAt("key-4");
      await stage.hear({
        async at(event) {
          await jam.at(event);
          if ((event.data as { note?: unknown }).note !== undefined) throw new Error("what note is this?");
        },
      });
      const writer = await stage.writer();
      await writer.slipIn("door.moved.v1", "key-3", 1, { id: "key-3", step: 1, note: "a NUL: \0" });
      await writer.slipIn("door.moved.v1", "key-5", 1, { id: "key-5", step: 1, note: nested(3_000) });
      await stage.tell(["key-4"], [1]);
      await stage.untilDead(3);
      await writer.slipIn("door.moved.v1", "key-4", 2, { id: "key-4", step: 2, note: "half a character: \ud800" });
      await stage.untilDead(4);
      const sound = keys.filter((key) => !["key-3", "key-4", "key-5"].includes(key));
      await stage.tell(sound, [1, 2]);
      await stage.expectSteps(sound, [1, 2]);
      const unkept = (await letters(stage)).filter(({ readable }) => !readable);
      expect(unkept).toHaveLength(3);
      for (const letter of unkept) {
        const redriven = await stage
          .openBeta()
          .transaction((tx) => redriveLetter(tx, { ...letter, mode: "redeliver", ...by }));
        expect(redriven).toMatchObject({ kind: "refused", code: "NOT_AN_EVENT" });
        expect(await stage.openBeta().transaction((tx) => dropLetter(tx, { ...letter, ...by }))).toMatchObject({
          kind: "dropped",
        });
      }
      expect(await letters(stage)).toHaveLength(1);
    },
  },
  {
    name: "calls that fail to the last become a dead letter, and are made in order once it is redriven",
    async play(stage) {
      const jam = jamAt("key-3");
      await stage.call({ at: jam.at });
      await stage.tell(keys, [1, 2]);
      await stage.expectSteps(others, [1, 2]);
      await stage.untilDead(1);
      jam.free();
      await redriveOnly(stage, "redeliver");
      await stage.expectSteps(["key-3"], [1, 2]);
    },
  },
  {
    name: "an event that ends every process that tries it is found singly and set aside; its neighbours are applied",
    async play(stage) {
      await stage.tell(keys, [1]);
      const killed: Process[] = [];
      const gate = stage.gate();
      // Killed in the middle of its batch, as by a fault of memory.
      const at = async ({ key }: { key: string }, process: Process): Promise<void> => {
        if (key !== "key-3") return;
        killed.push(process);
        await process.kill();
        await gate.opened;
      };
      for (let rounds = 0; rounds < 6 && (await stage.effects()).length < others.length; rounds++) {
        const before = killed.length;
        await stage.hear({ at }, { leaseMs: 200, standsBy: true });
        await waitFor(async () => killed.length > before || (await stage.effects()).length === others.length);
      }
      await stage.expectSteps(others, [1]);
      await stage.untilDead(1);
      expect(await letters(stage)).toMatchObject([{ key: "key-3", cause: expect.stringContaining("PoisonError") }]);
      // Once in a crowd, and three times alone.
      expect(killed.length).toBeGreaterThanOrEqual(3);
      expect(killed.length).toBeLessThanOrEqual(4);
    },
  },
];

/** A handler that fails at a key: so many times, or until it is freed. */
function jamAt(jammed: string, times = Number.POSITIVE_INFINITY) {
  let left = times;
  return {
    async at({ key }: { key: string }): Promise<void> {
      if (key === jammed && left-- > 0) throw new Error(`${key} is jammed`);
    },
    free(): void {
      left = 0;
    },
  };
}

/** So many lists within one another. */
const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));

const letters = (stage: Stage) => listLetters(stage.openBeta(), {}, { limit: 10 });

/** Redrives the only dead letter; gives its id. */
async function redriveOnly(stage: Stage, mode: "redeliver" | "reprocess"): Promise<string> {
  const [letter] = await letters(stage);
  if (!letter) throw new Error("Nothing is dead.");
  const { kind } = await stage.openBeta().transaction((tx) => redriveLetter(tx, { ...letter, mode, ...by }));
  expect(kind).toBe("redriven");
  return letter.eventId;
}
