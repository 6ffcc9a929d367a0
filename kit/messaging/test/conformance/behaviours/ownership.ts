/** One owner at a time: it is a row in the database that says who, and nobody else can commit. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import type { Log } from "../../../src/log.ts";
import { pauseStreams, resumeStreams } from "../../../src/operations/index.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, range, type Stage } from "../stage.ts";

export const ownershipBehaviours: readonly Behaviour[] = [
  {
    name: "an owner that is frozen until its lease has gone to another can't commit when it wakes",
    async play(stage) {
      const freezer = new Freezer(stage);
      const frozen = await stage.hear({}, { leaseMs: 300, through: freezer.through });
      freezer.freezeNext();
      await stage.tell(keys, [1]);
      await freezer.hasFrozen();
      // Not a word of by what it is served: the slot of who is frozen is in use.
      const heir = await stage.hear({}, { leaseMs: 300, standsBy: true });
      await stage.untilEffects(20);
      freezer.thaw();
      await waitFor(() => frozen.fenced.length > 0);
      await stage.tell(keys, [2]);
      await stage.expectSteps(keys, [1, 2]);
      expect(new Set((await stage.effects()).slice(0, 20).map(({ owner }) => owner))).toEqual(new Set([heir.name]));
    },
  },
  {
    name: "owners that freeze and wake in turns, each taking over from another: every effect once, in order",
    async play(stage) {
      const freezers = [new Freezer(stage), new Freezer(stage), new Freezer(stage)];
      const processes = [];
      for (const [index, { through }] of freezers.entries())
        processes.push(await stage.hear({}, { leaseMs: 400, through, standsBy: index > 0 }));
      for (const step of range(1, 8)) {
        // Whoever reads next is frozen with what it read; the one before it wakes while another owns the stream.
        for (const freezer of freezers) freezer.freezeNext();
        await stage.tell(keys, [step]);
        await Promise.race(freezers.map((freezer) => freezer.hasFrozen()));
        for (const freezer of freezers) freezer.thaw();
      }
      await stage.expectSteps(keys, range(1, 8));
      expect(await stage.effects()).toHaveLength(160);
    },
  },
  {
    name: "while an owner lives nobody else reads; when it is killed another takes over from the committed place",
    async play(stage) {
      // Longer than a busy machine lets a process wait for its turn.
      const leaseMs = 4_000;
      const owner = await stage.hear({}, { leaseMs });
      const second = await stage.hear({}, { leaseMs, standsBy: true });
      await stage.tell(keys, [1, 2]);
      await stage.untilEffects(40);
      expect(second.given).toEqual([]);
      await owner.kill();
      await stage.tell(keys, [3]);
      await stage.expectSteps(keys, [1, 2, 3]);
      expect(second.given).toHaveLength(20);
    },
  },
  {
    name: "an owner that is stopped hands over at once, however long its lease is",
    async play(stage) {
      const owner = await stage.hear({}, { leaseMs: 600_000 });
      await stage.tell(keys, [1]);
      await stage.untilEffects(20);
      expect(await owner.feeds.drain()).toBe(true);
      await stage.hear({}, { leaseMs: 600_000 });
      await stage.tell(keys, [2]);
      await stage.expectSteps(keys, [1, 2]);
    },
  },
  {
    name: "a stop lets the batch under way commit, and takes up nothing new",
    async play(stage) {
      const gate = stage.gate();
      const owner = await stage.hear({ behind: () => gate.opened });
      await stage.tell(keys, [1]);
      await waitFor(() => owner.given.length > 0);
      const drained = owner.feeds.drain();
      await stage.tell(keys, [2]);
      gate.open();
      expect(await drained).toBe(true);
      expect(await stage.effects()).toHaveLength(owner.given.length);
      await stage.hear();
      await stage.expectSteps(keys, [1, 2]);
    },
  },
  {
    name: "a stop does not wait for longer than its bound; what was under way is done by the next owner",
    async play(stage) {
      const gate = stage.gate();
      const stuck = await stage.hear({ at: () => gate.opened }, { leaseMs: 300 });
      await stage.tell(keys, [1]);
      await waitFor(() => stuck.given.length > 0);
      expect(await stuck.feeds.drain(50)).toBe(false);
      await stuck.kill();
      await stage.hear({}, { leaseMs: 300 });
      await stage.expectSteps(keys, [1]);
    },
  },
  {
    name: "a paused stream is not read by anybody, and goes on from its place when it is resumed",
    async play(stage) {
      const process = await stage.hear();
      await stage.tell(keys, [1]);
      await stage.untilEffects(20);
      const beta = stage.openBeta();
      const filter = { reader: "beta", operator: "olga" };
      await beta.transaction((tx) => pauseStreams(tx, filter));
      await waitFor(async () => {
        const { rows } = await stage.admin.query(
          "select from reader_cursor where reader = 'beta' and owner is not null",
        );
        return rows.length === 0;
      });
      await stage.tell(keys, [2]);
      await stage.hear({}, { standsBy: true });
      expect(await process.feeds.passed("alpha", await stage.now(), 700)).toBe(false);
      expect(await stage.effects()).toHaveLength(20);
      await beta.transaction((tx) => resumeStreams(tx, filter));
      await stage.expectSteps(keys, [1, 2]);
    },
  },
];

interface Freeze {
  readonly frozen: PromiseWithResolvers<void>;
  readonly gate: ReturnType<Stage["gate"]>;
}

/** Freezes a process between reading events and applying them. */
class Freezer {
  readonly #stage: Stage;
  #next: Freeze | undefined;
  #last: Freeze | undefined;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  freezeNext(): void {
    this.#next = { frozen: Promise.withResolvers(), gate: this.#stage.gate() };
    this.#last = this.#next;
  }

  hasFrozen(): Promise<void> | undefined {
    return this.#last?.frozen.promise;
  }

  thaw(): void {
    this.#next = undefined;
    this.#last?.gate.open();
  }

  through = (log: Log): Log => ({
    slots: (source) => log.slots(source),
    cursors: log.cursors,
    open: (feed, types) => {
      const reader = log.open(feed, types);
      return {
        read: async (cursor, limit) => {
          const chunk = await reader.read(cursor, limit);
          if (chunk.events.length > 0) await this.#freeze();
          return chunk;
        },
        wait: (signal) => reader.wait(signal),
        close: () => reader.close(),
      };
    },
  });

  async #freeze(): Promise<void> {
    const own = this.#next;
    this.#next = undefined;
    own?.frozen.resolve();
    await own?.gate.opened;
  }
}
