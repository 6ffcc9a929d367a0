/** Several processes of one reader: each has its share of the slots, and a slot changes hands without anything being done twice. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import type { Behaviour } from "../behaviours.ts";
import { keys, range, type Stage } from "../stage.ts";

const slots = 4;
// Longer than a busy machine lets a process wait for its turn.
const leaseMs = 6_000;
const joins = { slots, leaseMs, standsBy: true };

export const shareBehaviours: readonly Behaviour[] = [
  {
    name: "a process alone has all slots; of two under load each comes to have half, with every event once and in order",
    async play(stage) {
      const first = await stage.hear({}, { slots, leaseMs });
      await untilShares(stage, [4]);
      await stage.tell(keys, range(1, 3));
      const load = stage.tell(keys, range(4, 40));
      const second = await stage.hear({}, joins);
      await Promise.all([load, untilShares(stage, [2, 2])]);
      await stage.tell(keys, range(41, 44));
      await stage.expectSteps(keys, range(1, 44));
      // Nothing was begun by one and done by the other.
      expect(first.given.length + second.given.length).toBe(44 * keys.length);
      expect([...first.fenced, ...second.fenced]).toEqual([]);
      expect([...first.faults, ...second.faults]).toEqual([]);
      for (const process of [first, second])
        expect(process.given.filter(({ sequence }) => sequence > 40).length, process.name).toBeGreaterThan(0);
      // Each was taken once, and two of them once more.
      expect(await takesOf(stage)).toBe(slots + 2);
    },
  },
  {
    name: "a third process gets a share, and gives it back to the others when it stops",
    async play(stage) {
      await stage.hear({}, { slots, leaseMs });
      await stage.hear({}, joins);
      await untilShares(stage, [2, 2]);
      const third = await stage.hear({}, joins);
      await untilShares(stage, [1, 1, 2]);
      await stage.tell(keys, range(1, 3));
      await stage.expectSteps(keys, range(1, 3));
      expect(third.given.length).toBeGreaterThan(0);
      // Each was taken once, two of them by the second process, and one by the third.
      expect(await takesOf(stage)).toBe(slots + 3);
      expect(await third.feeds.drain()).toBe(true);
      await untilShares(stage, [2, 2]);
      await stage.tell(keys, range(4, 6));
      await stage.expectSteps(keys, range(1, 6));
      expect(await uncleanTakes(stage)).toBe(0);
    },
  },
  {
    name: "what a process had that was killed goes to the others, from the committed place",
    async play(stage) {
      const first = await stage.hear({}, { slots, leaseMs: 1_500 });
      const second = await stage.hear({}, { slots, leaseMs: 1_500, standsBy: true });
      await untilShares(stage, [2, 2]);
      await stage.tell(keys, range(1, 3));
      await stage.expectSteps(keys, range(1, 3));
      await first.kill();
      await stage.tell(keys, range(4, 6));
      await stage.expectSteps(keys, range(1, 6));
      await untilShares(stage, [4]);
      expect((await stage.effects()).slice(-3 * keys.length).every(({ owner }) => owner === second.name)).toBe(true);
    },
  },
  {
    name: "calls under way are ended by who made them, however long they take, before their slot changes hands",
    async play(stage) {
      const gate = stage.gate();
      const first = await stage.call({ at: () => gate.opened, concurrency: keys.length }, { slots, leaseMs: 1_500 });
      await stage.tell(keys, [1]);
      await waitFor(() => first.given.length === keys.length, { what: "a call for every key" });
      const second = await stage.call({}, { slots, leaseMs: 1_500, standsBy: true });
      await waitFor(async () => (await wishes(stage)) >= 2, { what: "wishes for two slots" });
      const asked = performance.now();
      await waitFor(() => performance.now() > asked + 3_000, { what: "the time of two leases" });
      expect(second.given).toEqual([]);
      await stage.tell(keys, [2]);
      gate.open();
      await stage.expectSteps(keys, [1, 2]);
      await untilShares(stage, [2, 2]);
      expect(first.given.length + second.given.length).toBe(2 * keys.length);
      expect(second.given.length).toBeGreaterThan(0);
      expect(await uncleanTakes(stage)).toBe(0);
    },
  },
  {
    name: "a slot that was given back for a process that is gone is taken again when its wish has run out",
    async play(stage) {
      const process = await stage.hear({}, { slots, leaseMs });
      await untilShares(stage, [4]);
      await stage.admin.query(`
        update reader_cursor set wanted_by = 'somebody who is gone', wanted_until = clock_timestamp() + interval '2 seconds'
        where lane = 'online' and slot = 2`);
      await untilShares(stage, [3]);
      await stage.tell(keys, range(1, 3));
      await stage.expectSteps(keys, range(1, 3));
      await untilShares(stage, [4]);
      expect(process.given).toHaveLength(3 * keys.length);
      expect(await uncleanTakes(stage)).toBe(0);
    },
  },
  {
    name: "a process that has some of the slots hears when the others have passed theirs",
    async play(stage) {
      const first = await stage.hear({}, { slots, leaseMs });
      const second = await stage.hear({}, joins);
      await untilShares(stage, [2, 2]);
      await stage.tell(keys, range(1, 3));
      const moment = await stage.now();
      // Longer than this test may take: it is told, and does not find out at the end.
      const answers = await Promise.all([first, second].map(({ feeds }) => feeds.passed("alpha", moment, 600_000)));
      expect(answers).toEqual([true, true]);
      expect(await stage.effects()).toHaveLength(3 * keys.length);
    },
  },
];

/** Waits until the processes have so many slots of the online lane, in ascending order; who has none is not among them. */
async function untilShares(stage: Stage, shares: readonly number[]): Promise<void> {
  const held = `
    select count(*)::int as share from reader_cursor
    where lane = 'online' and owner is not null and wanted_by is null group by owner order by share`;
  let last: number[] = [];
  try {
    await waitFor(async () => {
      last = (await stage.admin.query(held)).rows.map(({ share }) => share);
      return last.join() === shares.join();
    });
  } catch (error) {
    throw new Error(`The shares are ${last}, not ${shares}.`, { cause: error });
  }
}

const numberOf = async (stage: Stage, what: string): Promise<number> =>
  (await stage.admin.query(`select coalesce(${what}, 0)::int as number from reader_cursor where lane = 'online'`))
    .rows[0].number;

const takesOf = (stage: Stage): Promise<number> => numberOf(stage, "sum(epoch)");
const uncleanTakes = (stage: Stage): Promise<number> => numberOf(stage, "sum(unclean_takes)");
const wishes = (stage: Stage): Promise<number> => numberOf(stage, "count(wanted_by)");
