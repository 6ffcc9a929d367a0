import { setImmediate as nextTurn } from "node:timers/promises";
import {
  bigint,
  composedSql,
  type Database,
  identifier,
  instant,
  nullable,
  snapshot,
  sql,
  text,
  xid8,
} from "@onsale/postgres";
import type { Lane } from "../events/event.ts";

/** A snapshot of a source, and the positions allocated in its outboxes before it was taken. */
export interface Window {
  readonly snapshot: string;
  readonly highs: Readonly<Record<Lane, number>>;
  /** Everything committed before this moment is visible in the snapshot. Database time. */
  readonly takenAt: string;
  /** The connection that it was taken on. Windows of two sessions may not be joined: a server that crashed in between gives transaction ids and positions again. */
  readonly session: string;
}

const snapshotSql = sql("messaging.current-snapshot", {
  takes: [],
  gives: { snapshot },
})`select pg_current_snapshot() as snapshot`;

/** The fence: positions first, a transaction id after them, and only then (in another statement) the snapshot. */
const fenceSql = (source: string) =>
  composedSql(`messaging.fence-${source}`, {
    takes: [bigint, bigint],
    gives: { highOnline: bigint, highBulk: bigint, fence: nullable(xid8), takenAt: instant, session: text },
    text: `select high_online as "highOnline", high_bulk as "highBulk", fence, taken_at as "takenAt", session from ${identifier(source)}.outbox_fence($1, $2)`,
  });

/**
 * Takes windows on one source, for all of its readers in a process.
 *
 * A position is allocated after its row's transaction id, and the fence takes an id after it read the positions: so every
 * row up to these positions has an id below the snapshot's xmax, and the snapshot knows whether it is visible, in progress
 * or gone. Without the fence's own id a transaction in progress could lie at xmax or above and be missing from the
 * snapshot's list; its rows would then be skipped for ever.
 */
export class WindowSource {
  readonly #database: Database;
  readonly #fenceSql: ReturnType<typeof fenceSql>;
  #known: Record<Lane, number> = { online: 0, bulk: 0 };
  #taking: Promise<unknown> = Promise.resolve();
  #coming: Promise<Window> | undefined;

  constructor(database: Database, source: string) {
    this.#database = database;
    this.#fenceSql = fenceSql(source);
  }

  /** A window whose taking begins after this call; all callers of one turn of the event loop, and of the time that the one before takes, share it. */
  next(): Promise<Window> {
    this.#coming ??= this.#takeNext();
    return this.#coming;
  }

  async #takeNext(): Promise<Window> {
    // Readers that are woken together ask one after the other: with the next turn all have.
    await Promise.all([this.#taking, nextTurn()]);
    this.#coming = undefined;
    const window = this.#take();
    this.#taking = window.catch(() => undefined);
    return await window;
  }

  async #take(): Promise<Window> {
    try {
      // Sent together over one connection, run one after the other, each a transaction of its own.
      const [[fence], [row]] = await Promise.all([
        this.#database.query(this.#fenceSql, [this.#known.online, this.#known.bulk]),
        this.#database.query(snapshotSql, []),
      ]);
      if (!fence || !row) throw new Error("The fence gave no row.");
      if (fence.fence !== null && BigInt(fence.fence) >= xmaxOf(row.snapshot)) {
        throw new Error(`The snapshot ${row.snapshot} was taken before the fence ${fence.fence}.`);
      }
      this.#known = { online: fence.highOnline, bulk: fence.highBulk };
      return { snapshot: row.snapshot, highs: this.#known, takenAt: fence.takenAt, session: fence.session };
    } catch (error) {
      // After a lost connection the server may have crashed and positions may differ: take a full fence next time.
      this.#known = { online: 0, bulk: 0 };
      throw error;
    }
  }
}

/** `xmin:xmax:xip,...`: the first transaction id that the snapshot knows nothing of. */
const xmaxOf = (text: string): bigint => BigInt(text.split(":")[1] ?? "");

/** Transactions that were in progress at one snapshot and are not at a later one: they have committed, or were rolled back. */
export function endedBetween(earlier: string, later: string): string[] {
  const [end, stillOpen] = [xmaxOf(later), new Set(openIn(later))];
  return openIn(earlier).filter((xid) => !stillOpen.has(xid) && BigInt(xid) < end);
}

const openIn = (text: string): string[] =>
  text
    .split(":")[2]
    ?.split(",")
    .filter((xid) => xid !== "") ?? [];
