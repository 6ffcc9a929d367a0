/** Lanes and slots: what may overtake what. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import { type Reader, readersOf } from "../../../src/consumers/readers.ts";
import { fact, type Lane } from "../../../src/events/event.ts";
import { pauseStreams, readerLags, resumeStreams } from "../../../src/operations/index.ts";
import { publishInBulk } from "../../../src/outbox/bulk.ts";
import { bulkRowCap, publish } from "../../../src/outbox/publish.ts";
import { slotOf } from "../../../src/slot.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, moved, painted, range, rung, type Stage } from "../stage.ts";

const cause = { correlationId: "test" };

const [readerOfDoors] = readersOf(
  "beta",
  [{ kind: "batch", name: "beta.hear", on: [moved, painted] }],
  () => "alpha",
) as [Reader];

export const streamBehaviours: readonly Behaviour[] = [
  {
    name: "bulk work is cut into transactions of a thousand events, and all of it arrives in its lane",
    async play(stage) {
      const process = await stage.hear();
      const doors = range(1, 2_300).map((number) => `door-${number}`);
      const done = await publishInBulk(stage.alpha, doors, async (_tx, part) =>
        part.map((id) => fact(moved, { data: { id, step: 1 }, sequence: 1, cause })),
      );
      expect(done).toEqual({ transactions: 3, events: 2_300 });
      await stage.untilEffects(2_300);
      expect(new Set(process.given.map(({ lane }) => lane))).toEqual(new Set(["bulk"]));
    },
  },
  {
    name: "a transaction with more bulk events than the cap is refused, and nothing of it arrives",
    async play(stage) {
      const process = await stage.hear();
      const bulk = (id: string) => fact(moved, { data: { id, step: 1 }, sequence: 1, cause, lane: "bulk" });
      const tooMany = range(0, bulkRowCap).map((number) => bulk(`door-${number}`));
      await expect(stage.alpha.transaction((tx) => publish(tx, tooMany))).rejects.toThrow("1000 are allowed");
      await stage.tell(["key-1"], [1]);
      await stage.untilQuiet(process);
      expect(await stage.effects()).toHaveLength(1);
    },
  },
  {
    name: "a bulk lane that stands still does not hold up the online one",
    async play(stage) {
      const gate = stage.gate();
      await stage.hear({ at: ({ lane }) => (lane === "bulk" ? gate.opened : Promise.resolve()) });
      await stage.tell(["key-1"], [1], { event: painted, lane: "bulk" });
      await stage.tell(keys, range(1, 3));
      await stage.expectSteps(keys, range(1, 3));
      gate.open();
      await stage.untilEffects(61);
    },
  },
  {
    name: "a latest-wins key that comes through both lanes is never taken back by its older event",
    async play(stage) {
      await stage.hear();
      await pauseLane(stage, "bulk");
      await stage.tell(keys, [1], { event: painted, lane: "bulk" });
      await stage.tell(keys, [2], { event: painted, lane: "online" });
      await stage.expectSteps(keys, [2]);
      await resumeLane(stage, "bulk");
      await stage.tell(["key-1"], [3], { event: painted, lane: "bulk" });
      await stage.untilEffects(21);
      expect(await stage.stepsOf("key-1")).toEqual([2, 3]);
      expect(await stage.effects()).toHaveLength(21);
    },
  },
  {
    name: "how many events a stream has not applied is told while it stands still, of each slot, and is nothing in the end",
    async play(stage) {
      const behind = async (): Promise<number> => {
        const [reader] = await readerLags(stage.openBeta(), [readerOfDoors]);
        const online = reader?.streams.filter(({ lane }) => lane === "online") ?? [];
        return online.reduce((sum, stream) => sum + (stream.behind ?? Number.NaN), 0);
      };
      await stage.hear({}, { slots: 2 });
      await stage.tell(keys, [1]);
      await stage.expectSteps(keys, [1]);
      await waitFor(async () => (await behind()) === 0, { what: "nothing behind" });
      await pauseLane(stage, "online");
      await stage.tell(keys, range(2, 8));
      await stage.tell(keys, [1], { event: rung });
      expect(await behind()).toBe(140);
      await resumeLane(stage, "online");
      await stage.expectSteps(keys, range(1, 8));
      await waitFor(async () => (await behind()) === 0, { what: "nothing behind" });
    },
  },
  {
    name: "a key is always in the same slot, and its events come once and in order",
    async play(stage) {
      const process = await stage.hear({}, { slots: 4 });
      await stage.tell(keys, range(1, 3));
      await stage.expectSteps(keys, range(1, 3));
      await waitFor(() => process.applied.reduce((sum, { events }) => sum + events, 0) === 60);
      for (const slot of range(0, 3)) {
        const expected = keys.filter((key) => slotOf(key, 4) === slot).length * 3;
        const applied = process.applied.filter((batch) => batch.slot === slot);
        expect(
          applied.reduce((sum, { events }) => sum + events, 0),
          `events of slot ${slot}`,
        ).toBe(expected);
      }
    },
  },
  {
    name: "a slot that stands still delays only its own keys",
    async play(stage) {
      const gate = stage.gate();
      const isStuck = (key: string): boolean => slotOf(key, 4) === 2;
      await stage.hear({ at: ({ key }) => (isStuck(key) ? gate.opened : Promise.resolve()) }, { slots: 4 });
      await stage.tell(keys, [1, 2]);
      const others = keys.filter((key) => !isStuck(key));
      expect(others.length).toBeLessThan(keys.length);
      await stage.expectSteps(others, [1, 2]);
      expect(await stage.effects()).toHaveLength(2 * others.length);
      gate.open();
      await stage.expectSteps(keys, [1, 2]);
    },
  },
  {
    name: "slots of calls: every key in order, whatever slot it is in",
    async play(stage) {
      await stage.call({}, { slots: 2 });
      await stage.tell(keys, range(1, 3));
      await stage.expectSteps(keys, range(1, 3));
    },
  },
  {
    name: "two processes share the slots: what one holds the other does not have, and a stop moves them over",
    async play(stage) {
      const first = await stage.hear({}, { slots: 4 });
      const second = await stage.hear({}, { slots: 4, standsBy: true });
      await stage.tell(keys, [1]);
      await stage.expectSteps(keys, [1]);
      await first.feeds.drain();
      await stage.tell(keys, [2]);
      await stage.expectSteps(keys, [1, 2]);
      expect(second.given.filter(({ sequence }) => sequence === 2)).toHaveLength(20);
    },
  },
  {
    name: "a lane that was begun in one number of slots is not read on in another",
    async play(stage) {
      const two = await stage.hear({}, { slots: 2 });
      await stage.tell(["key-1"], [1]);
      await stage.untilEffects(1);
      await two.feeds.drain();
      const four = await stage.hear({}, { slots: 4, standsBy: true });
      await waitFor(() => four.faults.some((fault) => fault.includes("in 2 slots and can't go on in 4")));
    },
  },
];

const pauseLane = (stage: Stage, lane: Lane) =>
  stage
    .openBeta()
    .transaction(async (tx) => {
      await pauseStreams(tx, { reader: "beta", lane, operator: "olga" });
    })
    .then(() =>
      waitFor(async () => {
        const held = "select from reader_cursor where reader = 'beta' and lane = $1 and owner is not null";
        return (await stage.admin.query(held, [lane])).rows.length === 0;
      }),
    );

const resumeLane = (stage: Stage, lane: Lane) =>
  stage.openBeta().transaction((tx) => resumeStreams(tx, { reader: "beta", lane, operator: "olga" }));
