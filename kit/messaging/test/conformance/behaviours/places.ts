/** Where readers begin, go back to, and what the outbox keeps for them. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import { exportState, ReaderHasBegunError } from "../../../src/consumers/starting-point.ts";
import { type Reset, resetReader } from "../../../src/operations/index.ts";
import { outboxCursors } from "../../../src/outbox/outbox-cursor.ts";
import { retirePartitions, sealPartitions } from "../../../src/outbox/partitions.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, range, type Stage } from "../stage.ts";

const by = { operator: "olga", reason: "the effects were lost" };

export const placeBehaviours: readonly Behaviour[] = [
  {
    name: "a new consumer begins at the owner's export, and has every event once, in the export or behind it",
    async play(stage) {
      await stage.tell(keys, [1]);
      await stage.log.isFilled();
      // In the export, and on a topic only when it has been made.
      await stage.log.hold();
      await stage.tell(keys, [2]);
      const { exported, from } = await exportState(stage.alpha, async () => [1, 2]);
      await stage.log.goOn();
      await stage.tell(keys, [3]);
      // As it travels: plain JSON.
      const travelled = JSON.parse(JSON.stringify(from));
      await stage.takeOver(travelled);
      const process = await stage.hear();
      await stage.tell(keys, [4]);
      await stage.untilEffects(40);
      await stage.untilQuiet(process);
      for (const key of keys) expect([...exported, ...(await stage.stepsOf(key))]).toEqual(range(1, 4));
      await expect(stage.takeOver(travelled)).rejects.toThrow(ReaderHasBegunError);
    },
  },
  {
    name: "a reset gives everything again, to take effect once more where that is said",
    async play(stage) {
      const first = await stage.hear();
      await stage.tell(keys, [1, 2]);
      await stage.untilEffects(40);
      await first.feeds.drain();
      expect(await reset(stage, { again: true, dryRun: true })).toMatchObject({ kind: "would-be-reset" });
      expect(await reset(stage, { again: false })).toMatchObject({ kind: "reset" });
      const ignoring = await stage.hear();
      await stage.untilQuiet(ignoring);
      expect(await stage.effects(), "given and ignored").toHaveLength(40);
      await ignoring.feeds.drain();
      expect(await reset(stage, { again: true })).toMatchObject({ kind: "reset" });
      await stage.hear();
      await stage.untilEffects(80);
      for (const key of keys) expect(await stage.stepsOf(key)).toEqual([1, 2, 1, 2]);
    },
  },
  {
    name: "a reset to a moment lets what was told since then take effect once more, and nothing before it",
    async play(stage) {
      const process = await stage.hear();
      await stage.tell(keys, [1, 2]);
      await stage.untilEffects(40);
      const toTime = await stage.now();
      // A moment is given in milliseconds: the third step is told in another one.
      await waitFor(async () => (await stage.now()) > toTime);
      await stage.tell(keys, [3]);
      await stage.untilEffects(60);
      expect(await reset(stage, { again: true, dryRun: true, toTime })).toMatchObject({
        streams: [
          { lane: "bulk", events: 0, keys: 0 },
          { lane: "online", events: 20, keys: 20 },
        ],
      });
      // Under a process that reads: it is fenced, and begins again from there.
      expect(await reset(stage, { again: true, toTime })).toMatchObject({ kind: "reset" });
      await stage.untilEffects(80);
      await stage.tell(keys, [4]);
      await stage.untilQuiet(process);
      for (const key of keys) expect(await stage.stepsOf(key)).toEqual([1, 2, 3, 3, 4]);
    },
  },
  {
    name: "a partition leaves only when every reader of the outbox has passed it, and what was read had been applied",
    async play(stage) {
      await smallPartitions(stage);
      const process = await stage.hear();
      await stage.untilQuiet(process);
      await report(stage);
      await stage.log.hold();
      await stage.tell(keys, [1, 2]);
      await sealPartitions(stage.alpha);
      expect(await retirePartitions(stage.alpha, 0), "its reader stands before them").toEqual([]);
      await stage.log.goOn();
      await stage.expectSteps(keys, [1, 2]);
      await stage.untilQuiet(process);
      const left: string[] = [];
      const looked = async (): Promise<boolean> => {
        await report(stage);
        left.push(...(await retirePartitions(stage.alpha, 0)));
        return left.length >= 4;
      };
      await waitFor(looked, { what: "that four partitions left" });
      expect(left).toEqual(range(0, 3).map((number) => `outbox_online_${number * 10 + 1}`));
      await stage.tell(keys, [3]);
      await stage.expectSteps(keys, [1, 2, 3]);
    },
  },
];

async function reset(stage: Stage, wish: Pick<Reset, "again"> & Partial<Pick<Reset, "dryRun" | "toTime">>) {
  const topics = await stage.log.topicPlaces(wish.toTime);
  const whole = { reader: stage.reader, source: "alpha", dryRun: false, ...by, ...wish, ...(topics && { topics }) };
  return await stage.openBeta().transaction((tx) => resetReader(tx, whole));
}

/** Partitions of ten positions instead of half a million. */
async function smallPartitions({ admin }: Stage): Promise<void> {
  const { rows } = await admin.query("select name from alpha.outbox_partition where lane = 'online'");
  await admin.query(`drop table ${rows.map(({ name }) => `alpha.${name}`).join()}`);
  await admin.query("delete from alpha.outbox_partition where lane = 'online'");
  await admin.query("select alpha.outbox_extend('online', 10, 20)");
}

/** Tells the outbox how far its readers are, which they do by themselves every half minute. */
async function report(stage: Stage): Promise<void> {
  const { database, name } = stage.log.outboxReader("beta");
  for (const lane of ["online", "bulk"] as const)
    await outboxCursors.report(database, { reader: name, source: "alpha", lane, slot: 0 });
}
