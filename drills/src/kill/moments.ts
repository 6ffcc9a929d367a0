/**
 * Interleavings that load brings by chance at best, each brought about on purpose: by transactions held open, streams
 * paused and processes ended where it matters, and never by waiting for luck. They are harmless while nothing is planted.
 */

import { readFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { type Lane, retirePartitions, sealPartitions } from "@onsale/messaging";
import type { Database, Transaction } from "@onsale/postgres";
import { topicPartitions } from "../theatre/assignment.ts";
import {
  burnPositions,
  consumers,
  countApplied,
  endOpenTransactions,
  hasFired,
  hasReadAll,
  isAnybodyBlocked,
  isDue,
  pauseStreams,
  resumeStreams,
} from "../theatre/books.ts";
import { type Change, changeAccount } from "../theatre/change-account.ts";
import type { Worker } from "../theatre/crew.ts";
import type { FaultName } from "../theatre/fault-names.ts";
import { partitionRows, type Schema, type Stage } from "../theatre/stage.ts";
import { until } from "../until.ts";

export const momentNames = [
  "late-commit",
  "older-transaction-later",
  "two-at-one-key",
  "killed-before-commit",
  "killed-with-one-under-way",
  "frozen-after-call",
  "lanes-apart",
  "due-before-heard",
  "partition-full-and-open",
  "failure-with-another-behind",
] as const;

export type MomentName = (typeof momentNames)[number];

/** What a moment is made from: a stage on which nobody writes and everything is applied, and the consumer on it. */
export interface Ground {
  readonly stage: Stage;
  readonly round: number;
  /** What the writers and the consumers have planted in them. */
  readonly fault: FaultName | undefined;
  /** Whose cursors say how far the outbox was read. */
  readonly outboxReaders: Schema;
  /** The publishing service's own database. */
  readonly source: Database;
  /** The file in which calls leave their trace. */
  readonly journal: string;
  consumer(): Promise<Worker>;
  replaceConsumer(): Promise<Worker>;
  dismiss(worker: Worker): Promise<void>;
}

/** The keys of a moment: all of the online lane, and of one partition of its topic, so that they are read in their order. */
export const momentKeys = (round: number, moment: MomentName): string[] =>
  ["a", "b", "c", "d", "e"].map((letter) => inFirstPartition(`r${round}-${moment}-${letter}`));

function inFirstPartition(key: string): string {
  for (let attempt = 1; ; attempt++) {
    const attempted = `${key}${attempt}-`;
    // As relays deal keys out.
    if (crc32(attempted) % topicPartitions === 0) return attempted;
  }
}

/** How moments' transactions are known to PostgreSQL. */
export const momentWriterName = "drill moment";

/** What does not happen within this never will; an idle machine needs a few milliseconds. */
const patienceMs = 240_000;

/** A look at deadlines comes every 20 ms. With nothing planted there is nothing to wait for: a few looks are enough. */
const fewLooksMs = 200;

export async function bringAbout(moment: MomentName, ground: Ground): Promise<void> {
  const [a = "", b = "", c = "", d = "", e = ""] = momentKeys(ground.round, moment);
  await moments[moment](new Scene(ground), { a, b, c, d, e });
}

type Keys = Readonly<Record<"a" | "b" | "c" | "d" | "e", string>>;

const moments: Readonly<Record<MomentName, (scene: Scene, keys: Keys) => Promise<void>>> = {
  /** A position is taken early and committed when every reader has passed it. */
  async "late-commit"(scene, { a, b, c }) {
    await scene.transaction(async (tx) => {
      await scene.change(tx, { key: a });
      await scene.applied(await scene.commit(b, c));
    });
  },

  /** The transaction with the lower id changes a key after the one with the higher id. */
  async "older-transaction-later"(scene, { a, b }) {
    await scene.transaction(async (tx) => {
      await scene.change(tx, { key: a });
      await scene.commit(b);
      await scene.change(tx, { key: b });
    });
  },

  /** A transaction that is at a key meets another, which waits for it; or does not, where nothing makes it wait. */
  async "two-at-one-key"(scene, { a }) {
    let second: Promise<unknown> = Promise.resolve();
    const meanwhile = async (): Promise<void> => {
      const committed = scene.commit(a);
      second = committed;
      await Promise.race([committed, until(() => isAnybodyBlocked(scene.admin, momentWriterName), patienceMs)]);
    };
    await scene.transaction((tx) => scene.change(tx, { key: a, meanwhile }));
    await second;
  },

  async "killed-before-commit"(scene, { a, b }) {
    const consumer = await scene.ground.consumer();
    consumer.ordain({ point: "batch.before-commit", pass: 1, how: "SIGKILL" });
    await scene.commit(a, b);
    await consumer.ended;
    await scene.ground.replaceConsumer();
  },

  /** Of five calls all are settled but the third when the process is killed: only that one may be made again. */
  async "killed-with-one-under-way"(scene, { a, b, c, d, e }) {
    const consumer = await scene.ground.consumer();
    const [lingering, others] = await scene.transaction(async (tx) => {
      const before = [await scene.change(tx, { key: a }), await scene.change(tx, { key: b })];
      const third = await scene.change(tx, { key: c, lingers: true });
      const after = [await scene.change(tx, { key: d }), await scene.change(tx, { key: e })];
      return [third, [...before, ...after]];
    });
    await scene.applied(others);
    await until(async () => (await readFile(scene.ground.journal, "utf8")).includes(lingering), patienceMs);
    await consumer.kill();
    await scene.ground.replaceConsumer();
  },

  /** The owner is frozen between a call and its settling, and thawed when its successor has settled the same event. */
  async "frozen-after-call"(scene, { a }) {
    const frozen = await scene.ground.consumer();
    frozen.ordain({ point: "consumer.frozen", pass: 1, how: "SIGSTOP" });
    const tokens = await scene.commit(a);
    await frozen.hears("consumer.frozen");
    await endOpenTransactions(scene.admin, frozen.pid);
    await scene.ground.replaceConsumer();
    await scene.applied(tokens);
    await frozen.thaw();
    await scene.ground.dismiss(frozen);
  },

  /** A key's first change goes to a lane that is not read, its second to one that is. */
  async "lanes-apart"(scene, { a }) {
    await scene.pause("bulk");
    await scene.transaction((tx) => scene.change(tx, { key: a, lane: "bulk" }));
    await scene.applied(await scene.commit(a));
    await scene.resume("bulk");
  },

  /** A deadline comes due whose reason was taken away, and the consumer has not heard of it yet. */
  async "due-before-heard"(scene, { a }) {
    await scene.pause("online");
    await scene.commit(a);
    await until(() => isDue(scene.admin, a), patienceMs);
    await until(() => hasFired(scene.admin, a), scene.ground.fault ? patienceMs : fewLooksMs).catch(() => undefined);
    await scene.resume("online");
  },

  /** A writer that took a position in a partition commits when the partition is full, passed, and about to be let go. */
  async "partition-full-and-open"(scene, { a, b }) {
    await scene.transaction(async (tx) => {
      await scene.change(tx, { key: a });
      await burnPositions(scene.admin, "online", partitionRows);
      await scene.applied(await scene.commit(b));
      await until(() => hasReadAll(scene.admin, scene.ground.outboxReaders, "online"), patienceMs);
      await scene.pause("online", scene.ground.outboxReaders);
    });
    await sealPartitions(scene.ground.source);
    await retirePartitions(scene.ground.source, 0);
    await scene.resume("online", scene.ground.outboxReaders);
  },

  /** A change whose first attempt fails, and right behind it the next one of its key. */
  async "failure-with-another-behind"(scene, { a }) {
    await scene.transaction(async (tx) => {
      await scene.change(tx, { key: a, stumbles: true });
      await scene.change(tx, { key: a });
    });
  },
};

/** The few verbs that moments are told in. */
class Scene {
  readonly ground: Ground;

  constructor(ground: Ground) {
    this.ground = ground;
  }

  get admin(): Database {
    return this.ground.stage.admin;
  }

  transaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    return this.ground.source.transaction(work);
  }

  async change(tx: Transaction, change: Omit<Change, "round" | "fault">): Promise<string> {
    return await changeAccount(tx, { ...change, round: this.ground.round, fault: this.ground.fault });
  }

  /** Changes each key in a transaction of its own; gives their tokens. */
  async commit(...keys: readonly string[]): Promise<string[]> {
    const tokens: string[] = [];
    for (const key of keys) tokens.push(await this.transaction((tx) => this.change(tx, { key })));
    return tokens;
  }

  /** Waits until every consumer has acted on these. */
  async applied(tokens: readonly string[]): Promise<void> {
    const wanted = tokens.length * consumers.length;
    await until(async () => (await countApplied(this.admin, tokens)) >= wanted, patienceMs);
  }

  /** From then on no consumer reads the lane, or nobody of another schema. */
  async pause(lane: Lane, readers: Schema = "sink"): Promise<void> {
    await until(() => pauseStreams(this.admin, readers, lane), patienceMs);
  }

  async resume(lane: Lane, readers: Schema = "sink"): Promise<void> {
    await resumeStreams(this.admin, readers, lane);
  }
}
