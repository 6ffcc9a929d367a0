/** However often an event comes, and whatever dies, its effect happens once, and progress never runs ahead of it. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import { watermarkOf } from "../../../src/consumers/progress.ts";
import { fact } from "../../../src/events/event.ts";
import { listLetters, redriveLetter } from "../../../src/operations/index.ts";
import { publish } from "../../../src/outbox/publish.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, type ListenOptions, moved, range } from "../stage.ts";

export const effectBehaviours: readonly Behaviour[] = [
  {
    name: "effects and progress commit together: of a batch that fails at its end neither is left",
    async play(stage) {
      let failures = 2;
      const behind: ListenOptions["behind"] = async (tx, events) => {
        // What it tells belongs to its effects.
        await publish(
          tx,
          events.map(({ key, cause }) => fact(moved, { data: { id: key, step: 1 }, sequence: 1, cause })),
        );
        if (failures-- > 0) throw new Error("not yet");
      };
      const process = await stage.hear({ behind }, { attempts: 5 });
      await stage.tell(["key-1"], [1]);
      await stage.untilEffects(1);
      await stage.untilQuiet(process);
      expect(process.given.length).toBe(3);
      expect(await stage.effects()).toHaveLength(1);
      const { rows } = await stage.admin.query("select count(*)::int as told from beta.outbox_online");
      expect(rows).toEqual([{ told: 1 }]);
    },
  },
  {
    name: "a process that is killed between its effects and their commit: they run again, and happen once",
    async play(stage) {
      const gate = stage.gate();
      const doomed = await stage.hear({ behind: () => gate.opened }, { leaseMs: 300 });
      await stage.tell(keys, [1, 2]);
      await waitFor(() => doomed.given.length > 0);
      await doomed.kill();
      gate.open();
      expect(await stage.effects(), "nothing was committed").toEqual([]);
      await stage.hear({}, { leaseMs: 300 });
      await stage.expectSteps(keys, [1, 2]);
    },
  },
  {
    name: "a restart goes on from the committed place: nothing is given twice",
    async play(stage) {
      const first = await stage.hear();
      await stage.tell(keys, [1, 2]);
      await stage.untilEffects(40);
      expect(await first.feeds.drain()).toBe(true);
      await stage.tell(keys, [3]);
      const second = await stage.hear();
      await stage.expectSteps(keys, [1, 2, 3]);
      await stage.untilQuiet(second);
      expect(first.given).toHaveLength(40);
      expect(second.given).toHaveLength(20);
    },
  },
  {
    name: "a log that is read from its beginning once more has no second effect",
    async play(stage) {
      const first = await stage.hear();
      await stage.tell(keys, [1, 2]);
      await stage.untilEffects(40);
      await first.feeds.drain();
      await stage.log.rewind("beta");
      const second = await stage.hear();
      await stage.tell(keys, [3]);
      await stage.expectSteps(keys, [1, 2, 3]);
      await stage.untilQuiet(second);
      expect(await stage.effects()).toHaveLength(60);
    },
  },
  {
    name: "the same sequence of a key that lies in the log several times has one effect",
    async play(stage) {
      const process = await stage.hear();
      await stage.tell(["key-1"], [1, 1, 2, 1, 2, 3, 3]);
      await stage.untilQuiet(process);
      expect(await stage.stepsOf("key-1")).toEqual([1, 2, 3]);
    },
  },
  {
    name: "a service that is restored from an older backup catches up, and does once more what it has forgotten",
    async play(stage) {
      const before = await stage.hear();
      await stage.tell(keys, [1]);
      await stage.untilEffects(20);
      await before.feeds.drain();
      const tables = ["reader_cursor", "inbox", "effect"];
      for (const table of tables) await stage.admin.query(`create table alpha.kept_${table} as table ${table}`);
      const lost = await stage.hear();
      await stage.tell(keys, [2, 3]);
      await stage.untilEffects(60);
      await lost.feeds.drain();
      const own = "reader = 'beta'";
      await stage.admin.query(`
        delete from reader_cursor where ${own}; insert into reader_cursor select * from alpha.kept_reader_cursor where ${own};
        delete from inbox; insert into inbox select * from alpha.kept_inbox;
        delete from effect; insert into effect overriding system value select * from alpha.kept_effect`);
      await stage.hear();
      await stage.tell(keys, [4]);
      await stage.expectSteps(keys, range(1, 4));
    },
  },
  {
    name: "a restored producer tells other facts under sequences that were heard: they are heard once, and it is said of which keys",
    async play(stage) {
      const process = await stage.hear();
      await stage.tell(["key-1", "key-2"], [1, 2, 3]);
      await stage.untilEffects(6);
      const began = "select alpha.outbox_renew_incarnation('restored in a test') as incarnation";
      const { incarnation } = (await stage.admin.query(began)).rows[0];
      // As if it had been restored to a moment at which key-1 had come to 1, and key-2 to 3.
      await stage.tell(["key-1"], [2, 3, 4]);
      await stage.tell(["key-2"], [4]);
      await stage.untilEffects(10);
      expect(await stage.stepsOf("key-1")).toEqual([1, 2, 3, 2, 3, 4]);
      await waitFor(() => process.anew.length > 0);
      expect(process.anew).toEqual([
        expect.objectContaining({ reader: "beta", source: "alpha", key: "key-1", had: 3, tellsFrom: 2, incarnation }),
      ]);
      await process.feeds.drain();
      await stage.log.rewind("beta");
      const again = await stage.hear();
      await stage.tell(["key-1", "key-2"], [5]);
      await stage.untilEffects(12);
      await stage.untilQuiet(again);
      expect(await stage.stepsOf("key-1")).toEqual([1, 2, 3, 2, 3, 4, 5]);
      expect(await stage.stepsOf("key-2")).toEqual([1, 2, 3, 4, 5]);
      expect(again.anew).toEqual([]);
    },
  },
  {
    name: "an event whose sequence was heard before it was told is no repetition: it is set aside, said so, and applied when it is put back",
    async play(stage) {
      const [batches, calls] = [await stage.hear(), await stage.call()];
      await stage.tell(["key-1", "key-2"], [1, 2]);
      await stage.untilEffects(8);
      // As somebody's own words on a topic may do, or a copy of the producer's files that nobody saw go back.
      const writer = await stage.writer();
      await writer.slipIn("door.moved.v1", "key-1", 7, { id: "key-1", step: 7 });
      await stage.untilEffects(10);
      await stage.tell(["key-1"], [3]);
      await stage.tell(["key-2"], [3]);
      await stage.untilDead(2);
      await stage.untilEffects(12);
      const fact = { source: "alpha", type: "door.moved.v1", key: "key-1", sequence: 3, had: 7 };
      await waitFor(() => batches.passedOver.length + calls.passedOver.length === 2);
      expect(batches.passedOver).toEqual([expect.objectContaining({ ...fact, reader: "beta" })]);
      expect(calls.passedOver).toEqual([expect.objectContaining({ ...fact, reader: "beta.call" })]);
      const letters = await listLetters(stage.openBeta(), {}, { limit: 10 });
      expect(letters).toMatchObject([1, 2].map(() => ({ key: "key-1", cause: expect.stringContaining("PassedOver") })));
      for (const letter of letters)
        await stage
          .openBeta()
          .transaction((tx) =>
            redriveLetter(tx, { ...letter, mode: "redeliver", operator: "test", reason: "it is a true one" }),
          );
      await stage.untilEffects(14);
      expect((await stage.stepsOf("key-1")).toSorted()).toEqual([1, 1, 2, 2, 3, 3, 7, 7]);
      expect((await stage.stepsOf("key-2")).toSorted()).toEqual([1, 1, 2, 2, 3, 3]);
    },
  },
  {
    name: "what is told again as it was is a repetition, whoever repeats it, and nothing is said",
    async play(stage) {
      const first = await stage.hear();
      await stage.tell(keys, [1, 2, 3]);
      await stage.untilEffects(60);
      await stage.untilQuiet(first);
      await first.feeds.drain();
      await stage.log.rewind("beta");
      const again = await stage.hear();
      await stage.tell(keys, [4]);
      await stage.untilEffects(80);
      await stage.untilQuiet(again);
      await stage.expectSteps(keys, range(1, 4));
      expect(again.passedOver).toEqual([]);
      expect(await listLetters(stage.openBeta(), {}, { limit: 10 })).toEqual([]);
    },
  },
  {
    name: "`passed` says yes only when everything that was committed before is applied",
    async play(stage) {
      const gate = stage.gate();
      const process = await stage.hear({ at: () => gate.opened });
      await stage.tell(keys, [1]);
      const moment = await stage.now();
      expect(await process.feeds.passed("alpha", moment, 300)).toBe(false);
      gate.open();
      expect(await process.feeds.passed("alpha", moment, 20_000)).toBe(true);
      expect(await stage.effects()).toHaveLength(20);
    },
  },
  {
    name: "while nobody reads the outbox, the watermark waits: a deadline can't overtake what it depends on",
    async play(stage) {
      const process = await stage.hear();
      await stage.tell(["key-1"], [1]);
      await stage.untilQuiet(process);
      await stage.log.hold();
      await stage.tell(["key-1"], [2]);
      const moment = await stage.now();
      expect(await process.feeds.passed("alpha", moment, 500)).toBe(false);
      const saved = await watermarkOf(stage.openBeta(), "beta", "alpha");
      expect(saved === undefined || saved < moment).toBe(true);
      await stage.log.goOn();
      expect(await process.feeds.passed("alpha", moment, 20_000)).toBe(true);
      expect(await stage.stepsOf("key-1")).toEqual([1, 2]);
    },
  },
  {
    name: "a watermark never runs ahead: whenever one is reached, all that was told before it is applied",
    async play(stage) {
      const process = await stage.hear();
      for (const step of range(1, 15)) {
        await stage.tell(keys.slice(0, 4), [step]);
        await stage.untilQuiet(process);
        expect(await stage.effects()).toHaveLength(4 * step);
      }
    },
  },
];
