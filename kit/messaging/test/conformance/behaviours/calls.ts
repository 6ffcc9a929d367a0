/** Consumers whose effect is a call to somebody else. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import type { Delivered } from "../../../src/events/event.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, range, type Stage } from "../stage.ts";

export const callBehaviours: readonly Behaviour[] = [
  {
    name: "calls of a key come one after the other, those of several keys at once; every outcome is settled",
    async play(stage) {
      const line = turnstile();
      await stage.call({ at: line.pass, concurrency: 8 });
      await stage.tell(keys, range(1, 4));
      await stage.expectSteps(keys, range(1, 4));
      expect(line.mostAtOnce()).toBeGreaterThan(1);
      expect(line.mostAtOnce()).toBeLessThanOrEqual(8);
      expect(line.mostOfOneKey()).toBe(1);
    },
  },
  {
    name: "finished are all of 1 to 7 but 5; after a kill only 5 is called again",
    async play(stage) {
      const gate = stage.gate();
      const seven = keys.slice(1, 8);
      const doomed = await stage.call(
        { at: ({ key }) => (key === "key-5" ? gate.opened : Promise.resolve()), concurrency: 7 },
        { leaseMs: 300 },
      );
      await stage.tell(seven, [1]);
      await stage.untilEffects(6);
      await doomed.kill();
      gate.open();
      const heir = await stage.call({}, { leaseMs: 300 });
      await stage.expectSteps(seven, [1]);
      expect(doomed.given.map(({ key }) => key).toSorted()).toEqual(seven);
      expect(heir.given.map(({ key }) => key)).toEqual(["key-5"]);
    },
  },
  {
    name: "calls for what a restored producer tells anew are made, and it is said of which key",
    async play(stage) {
      const process = await stage.call();
      await stage.tell(["key-1"], [1, 2, 3]);
      await stage.untilEffects(3);
      await stage.admin.query("select alpha.outbox_renew_incarnation('restored in a test')");
      await stage.tell(["key-1"], [2, 3]);
      await stage.untilEffects(5);
      expect(await stage.stepsOf("key-1")).toEqual([1, 2, 3, 2, 3]);
      await waitFor(() => process.anew.length > 0);
      expect(process.anew).toEqual([expect.objectContaining({ key: "key-1", had: 3, tellsFrom: 2 })]);
    },
  },
  {
    name: "so many calls at once as were said are made in a process, whatever number of slots it has, and every slot gets its turn",
    async play(stage) {
      const line = turnstile();
      const gate = stage.gate();
      const process = await stage.call(
        {
          at: async (event) => {
            if (event.sequence === 1) await gate.opened;
            await line.pass(event);
          },
          concurrency: 3,
        },
        { slots: 4 },
      );
      await stage.tell(keys, range(1, 4));
      await waitFor(() => process.given.length === 3);
      gate.open();
      await stage.expectSteps(keys, range(1, 4));
      expect(line.mostAtOnce()).toBe(3);
    },
  },
  {
    name: "one slow call holds up its own key and no other",
    async play(stage) {
      const gate = stage.gate();
      await stage.call({ at: ({ key }) => (key === "key-3" ? gate.opened : Promise.resolve()) });
      await stage.tell(keys, [1, 2]);
      await stage.untilEffects(38);
      expect(await stage.stepsOf("key-3")).toEqual([]);
      gate.open();
      await stage.expectSteps(keys, [1, 2]);
    },
  },
  {
    name: "in the order of their stream, calls come one at a time",
    async play(stage) {
      const line = turnstile();
      await stage.call({ order: "partition", at: line.pass, concurrency: 8 });
      await stage.tell(keys, [1, 2]);
      await stage.expectSteps(keys, [1, 2]);
      expect(line.mostAtOnce()).toBe(1);
    },
  },
  {
    name: "without an order, a key's second event does not wait for its first",
    async play(stage) {
      const gate = stage.gate();
      await stage.call({
        order: "unordered",
        at: ({ sequence }) => (sequence === 1 ? gate.opened : Promise.resolve()),
      });
      await stage.tell(["key-1"], [1, 2, 3]);
      await stage.untilEffects(2);
      expect(await stage.stepsOf("key-1")).toEqual(expect.arrayContaining([2, 3]));
      gate.open();
      await stage.untilEffects(3);
      expect((await stage.stepsOf("key-1")).toSorted()).toEqual([1, 2, 3]);
    },
  },
  {
    name: "a call that fails is made again until it succeeds; its key waits and is settled in order",
    async play(stage) {
      let failures = 2;
      const process = await stage.call(
        {
          at: async ({ key }) => {
            if (key === "key-3" && failures-- > 0) throw new Error("no answer");
          },
        },
        { attempts: 5 },
      );
      await stage.tell(keys, [1, 2]);
      await stage.expectSteps(keys, [1, 2]);
      expect(process.given.filter(({ key }) => key === "key-3")).toHaveLength(4);
    },
  },
  {
    name: "a stop waits for the calls under way and settles them, and takes up nothing new",
    async play(stage) {
      const gate = stage.gate();
      const process = await stage.call({ at: () => gate.opened, concurrency: 4 });
      await stage.tell(keys, [1]);
      await waitFor(() => process.given.length === 4);
      const drained = process.feeds.drain();
      gate.open();
      expect(await drained).toBe(true);
      expect(await effectsIn(stage)).toEqual(process.given.map(({ key }) => key).toSorted());
      const heir = await stage.call();
      await stage.expectSteps(keys, [1]);
      expect(heir.given).toHaveLength(16);
    },
  },
  {
    name: "a stop does not wait for longer than its bound; what was under way is called again",
    async play(stage) {
      const gate = stage.gate();
      const stuck = await stage.call({ at: () => gate.opened }, { leaseMs: 300 });
      await stage.tell(["key-1"], [1]);
      await waitFor(() => stuck.given.length === 1);
      expect(await stuck.feeds.drain(50)).toBe(false);
      const heir = await stage.call({}, { leaseMs: 300 });
      await stage.expectSteps(["key-1"], [1]);
      expect(heir.given).toHaveLength(1);
    },
  },
];

const effectsIn = async (stage: Stage): Promise<string[]> => (await stage.effects()).map(({ key }) => key).toSorted();

/** Counts how many pass at once. */
function turnstile() {
  const inside = new Map<string, number>();
  let most = 0;
  let mostOfOneKey = 0;
  const count = (): number => [...inside.values()].reduce((sum, one) => sum + one, 0);
  return {
    async pass({ key }: Delivered): Promise<void> {
      inside.set(key, (inside.get(key) ?? 0) + 1);
      most = Math.max(most, count());
      mostOfOneKey = Math.max(mostOfOneKey, inside.get(key) ?? 0);
      for (const _ of range(1, 3)) await new Promise((resolve) => setImmediate(resolve));
      inside.set(key, (inside.get(key) ?? 0) - 1);
    },
    mostAtOnce: () => most,
    mostOfOneKey: () => mostOfOneKey,
  };
}
