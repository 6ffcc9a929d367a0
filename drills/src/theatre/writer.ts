/** Changes keys and publishes it, as an application does that this kit is for: several transactions at once, some slow, some in vain. */

import { setTimeout as sleep } from "node:timers/promises";
import { retirePartitions, sealPartitions } from "@onsale/messaging";
import {
  bigint,
  type Database,
  integer,
  isLockTimeout,
  openDatabase,
  sql,
  type Transaction,
  text,
} from "@onsale/postgres";
import { Random } from "../random.ts";
import { keysOf, slowKeyOf, type WriterAssignment } from "./assignment.ts";
import { changeAccount } from "./change-account.ts";
import type { Mortality } from "./kill-points.ts";
import { partitionRows, roleOf } from "./stage.ts";
import type { Work } from "./work.ts";

const extendSql = sql("drills.extend-outbox", { takes: [text, bigint], gives: { made: integer } })`
  select outbox_extend($1, $2, 4) as made`;

/** Transactions at once, besides the slow one. */
const writers = 4;

/**
 * Transactions that each writer makes at speed, to begin with; then it goes on more slowly, some three hundred changes a
 * second of all. A consumer that was killed finds little more than what it had under way, and recovering, which takes
 * events one by one, does not take the round.
 */
const firstTransactions = 15;
const trickleMs = 25;

const upkeepEveryMs = 50;

export function startWriter(assignment: WriterAssignment, mortality: Mortality): Work {
  const { url, seed, round } = assignment;
  const database = openDatabase({
    ...{ url, schema: "source", role: roleOf("source") },
    ...{ connections: writers + 1, applicationName: "drill writer" },
  });
  const stop = new AbortController();
  const writer = new Writer(database, assignment, mortality);
  const upkeep = keepUp(database, stop.signal);
  const slow = writer.writeSlowly(new Random(seed + 7), stop.signal);
  const fast = Array.from({ length: writers }, (_, index) => writer.write(new Random(seed * 31 + index), stop.signal));
  return {
    async finish(changes) {
      stop.abort();
      await Promise.all([...fast, slow, upkeep]);
      await writer.writeMore(changes, new Random(seed + round));
      await database.close();
    },
  };
}

class Writer {
  readonly #database: Database;
  readonly #assignment: WriterAssignment;
  readonly #mortality: Mortality;
  readonly #keys: readonly string[];
  /** Changes committed. */
  #made = 0;

  constructor(database: Database, assignment: WriterAssignment, mortality: Mortality) {
    this.#database = database;
    this.#assignment = assignment;
    this.#mortality = mortality;
    this.#keys = keysOf(assignment.round);
  }

  async write(random: Random, signal: AbortSignal): Promise<void> {
    for (let done = 0; !signal.aborted; done++) {
      await this.writeOnce(random);
      const pauseMs = done < firstTransactions ? random.between(0, 6) : trickleMs;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** So many changes at speed, or a few more. */
  async writeMore(changes: number, random: Random): Promise<void> {
    const enough = this.#made + changes;
    const writeOn = async (): Promise<void> => {
      while (this.#made < enough) await this.writeOnce(random);
    };
    await Promise.all(Array.from({ length: writers }, writeOn));
  }

  /** One to three keys in one order, so that no two transactions deadlock; one in twenty is given up at the end. */
  async writeOnce(random: Random): Promise<void> {
    const keys = random.shuffled(this.#keys).slice(0, random.between(1, 3)).sort();
    const givenUp = random.chance(0.05);
    const change = async (tx: Transaction): Promise<void> => {
      for (const key of keys) await this.#change(tx, key, random);
      await dawdle(random);
      if (givenUp) throw new GivenUpError();
      this.#mortality.pass("writer.before-commit");
    };
    await this.#database.transaction(change).catch(unlessGivenUp);
    if (!givenUp) this.#made += keys.length;
    this.#mortality.pass("writer.after-commit");
  }

  /** A key of its own in transactions that stay open while hundreds of others commit behind their positions. */
  async writeSlowly(random: Random, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#database.transaction(async (tx) => {
        await this.#change(tx, slowKeyOf(this.#assignment.round), random);
        await sleep(random.between(50, 400), undefined, { signal }).catch(() => undefined);
      });
    }
  }

  async #change(tx: Transaction, key: string, random: Random): Promise<void> {
    const { round, fault } = this.#assignment;
    const lane = random.chance(0.3) ? "bulk" : undefined;
    await changeAccount(tx, {
      ...{ key, round, fault, stumbles: random.chance(0.005), ...(lane && { lane }) },
      meanwhile: async () => {
        this.#mortality.pass("writer.row-locked");
        await dawdle(random);
      },
    });
  }
}

class GivenUpError extends Error {
  override readonly name = "GivenUpError";
}

function unlessGivenUp(error: unknown): void {
  if (!(error instanceof GivenUpError)) throw error;
}

/** Lets others run between two statements, so that positions are taken in another order than commits come. */
const dawdle = (random: Random): Promise<void> =>
  random.chance(0.3) ? sleep(random.between(0, 3)) : Promise.resolve();

/** Makes partitions ahead, seals the full ones and lets them go: what an owner of an outbox does all day. */
async function keepUp(database: Database, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const lane of ["online", "bulk"]) await database.query(extendSql, [lane, partitionRows]);
    await sealPartitions(database);
    await retirePartitions(database, 0).catch(unlessLocked);
    await sleep(upkeepEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** A partition that somebody writes to or reads is let go another time. */
function unlessLocked(error: unknown): void {
  if (!isLockTimeout(error)) throw error;
}
