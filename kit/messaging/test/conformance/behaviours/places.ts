/** Where readers begin, go back to, and what the outbox keeps for them. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import { resetReader } from "../../../src/operations.ts";
import { retirePartitions, sealPartitions } from "../../../src/outbox.ts";
import { outboxCursors } from "../../../src/outbox-cursor.ts";
import { beginAt, exportState, ReaderHasBegunError } from "../../../src/starting-point.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, range, type Stage } from "../stage.ts";

const by = { operator: "olga", reason: "the effects were lost" };

export const placeBehaviours: readonly Behaviour[] = [
  {
    name: "a new consumer begins at the owner's export, and has every event once, in the export or behind it",
    async play(stage) {
      await stage.tell(keys, [1, 2]);
      const { exported, from } = await exportState(stage.alpha, async () => [1, 2]);
      await stage.tell(keys, [3]);
      // As it travels: plain JSON.
      const travelled = JSON.parse(JSON.stringify(from));
      await beginAt(stage.openBeta(), { reader: "beta", from: travelled }, async () => undefined);
      const process = await stage.hear();
      await stage.tell(keys, [4]);
      if (stage.log.kind === "kafka") {
        // The export's cursor is a place in the outbox. Better refused by name than begun at a place that is not its.
        await waitFor(() => process.faults.some((fault) => fault.includes("can't go on from Kafka")));
        return;
      }
      await stage.untilEffects(40);
      await stage.untilQuiet(process);
      for (const key of keys) expect([...exported, ...(await stage.stepsOf(key))]).toEqual(range(1, 4));
      await expect(
        beginAt(stage.openBeta(), { reader: "beta", from: travelled }, async () => undefined),
      ).rejects.toThrow(ReaderHasBegunError);
    },
  },
  {
    name: "a reset gives everything again, to take effect once more where that is said",
    async play(stage) {
      const first = await stage.hear();
      await stage.tell(keys, [1, 2]);
      await stage.untilEffects(40);
      await first.feeds.drain();
      const reset = (again: boolean, dryRun = false) =>
        stage
          .openBeta()
          .transaction((tx) => resetReader(tx, { reader: stage.reader, source: "alpha", again, dryRun, ...by }));
      if (stage.log.kind === "kafka") {
        // A topic's places are not the outbox's: refused by name, and nothing has changed.
        expect(await reset(true)).toMatchObject({ kind: "refused", code: "NOT_ON_AN_OUTBOX" });
        return;
      }
      expect(await reset(true, true)).toMatchObject({ kind: "would-be-reset" });
      expect(await reset(false)).toMatchObject({ kind: "reset" });
      const ignoring = await stage.hear();
      await stage.untilQuiet(ignoring);
      expect(await stage.effects(), "given and ignored").toHaveLength(40);
      await ignoring.feeds.drain();
      expect(await reset(true)).toMatchObject({ kind: "reset" });
      await stage.hear();
      await stage.untilEffects(80);
      for (const key of keys) expect(await stage.stepsOf(key)).toEqual([1, 2, 1, 2]);
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
