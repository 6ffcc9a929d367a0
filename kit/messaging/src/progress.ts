/** A reader's progress and who may move it: one row per (reader, source, lane), in the consumer's own schema. */

import {
  bigint,
  composedSql,
  type Database,
  double,
  identifier,
  instant,
  nullable,
  snapshot,
  sql,
  type Transaction,
  text,
  voids,
} from "@onsale/postgres";
import type { Cursor } from "./snapshot-reader.ts";
import type { FeedName } from "./telemetry.ts";

/** Somebody else moved or took the cursor: what this transaction did must not be committed. */
export class FencedError extends Error {
  override readonly name = "FencedError";
  constructor({ reader, source, lane }: FeedName) {
    super(`${reader} no longer owns its feed from ${source}/${lane}.`);
  }
}

/** Partitions stay for days; a report every half minute is often enough to let them go. */
const reportEveryMs = 30_000;

const cursorRow = {
  snap: snapshot,
  high: bigint,
  nextSnap: nullable(snapshot),
  nextHigh: nullable(bigint),
  at: bigint,
  nextTakenAt: nullable(instant),
};

const registerSql = sql("messaging.register-cursor", { takes: [text, text, text], gives: {} })`
  insert into reader_cursor (reader, source, lane, system_identifier) values ($1, $2, $3, reader_system_identifier())
  on conflict (reader, source, lane) do nothing`;

const takeSql = sql("messaging.take-lease", {
  takes: [text, text, text, text, double],
  gives: { ...cursorRow, epoch: bigint, foreign: nullable(bigint) },
})`
  update reader_cursor as cursor
  set epoch = cursor.epoch + 1, owner = $4, lease_until = clock_timestamp() + $5 * interval '1 millisecond'
  where reader = $1 and source = $2 and lane = $3 and (owner is null or owner = $4 or lease_until < clock_timestamp())
  returning snap, high, next_snap as "nextSnap", next_high as "nextHigh", at, next_taken_at as "nextTakenAt", epoch,
    nullif(system_identifier, reader_system_identifier()) as foreign`;

const moveSql = sql("messaging.move-cursor", {
  takes: [
    text,
    text,
    text,
    bigint,
    bigint,
    bigint,
    snapshot,
    bigint,
    nullable(snapshot),
    nullable(bigint),
    bigint,
    nullable(instant),
    nullable(instant),
    double,
  ],
  gives: { now: instant },
})`
  update reader_cursor
  set snap = $7, high = $8, next_snap = $9, next_high = $10, at = $11, next_taken_at = $12,
      watermark = greatest(watermark, $13), lease_until = clock_timestamp() + $14 * interval '1 millisecond'
  where reader = $1 and source = $2 and lane = $3 and epoch = $4 and high = $5 and at = $6
  returning clock_timestamp() as now`;

const checkSql = sql("messaging.check-lease", { takes: [text, text, text, bigint], gives: { now: instant } })`
  select clock_timestamp() as now from reader_cursor where reader = $1 and source = $2 and lane = $3 and epoch = $4`;

const holdSql = sql("messaging.hold-lease", { takes: [text, text, text, bigint, double], gives: {} })`
  update reader_cursor set lease_until = clock_timestamp() + $5 * interval '1 millisecond'
  where reader = $1 and source = $2 and lane = $3 and epoch = $4`;

const releaseSql = sql("messaging.release-lease", { takes: [text, text, text, bigint], gives: {} })`
  update reader_cursor set owner = null, lease_until = '-infinity' where reader = $1 and source = $2 and lane = $3 and epoch = $4`;

/** Tells the source how far this reader has come, so that it keeps what is not read; the first time registers the reader. */
const reportSql = (source: string) =>
  composedSql(`messaging.report-to-${source}`, {
    takes: [text, text, text],
    gives: { outbox_report: voids },
    text: `
      select ${identifier(source)}.outbox_report(reader, lane, snap, high) from reader_cursor
      where reader = $1 and source = $2 and lane = $3`,
  });

const watermarkSql = sql("messaging.watermark", { takes: [text, text], gives: { watermark: nullable(instant) } })`
  select min(nullif(watermark, '-infinity')) as watermark from reader_cursor
  where reader = $1 and source = $2 having bool_and(watermark > '-infinity')`;

/** The right to move a cursor, held until another process takes it over, and how far it has been moved. */
export class Progress {
  readonly #database: Database;
  readonly #feed: FeedName;
  /** Counted up at every take-over; an owner with an older one can't commit anything any more. */
  readonly #epoch: number;
  readonly #leaseMs: number;
  #saved: Cursor;
  #savedAt = performance.now();
  #reportDueAt = 0;

  private constructor(
    database: Database,
    feed: FeedName,
    { epoch, leaseMs, cursor }: { epoch: number; leaseMs: number; cursor: Cursor },
  ) {
    this.#database = database;
    this.#feed = feed;
    this.#epoch = epoch;
    this.#leaseMs = leaseMs;
    this.#saved = cursor;
  }

  /** Takes the lease if it is free, ours, or run out. Undefined while another process holds it. */
  static async take(
    database: Database,
    feed: FeedName,
    { owner, leaseMs }: { owner: string; leaseMs: number },
  ): Promise<Progress | undefined> {
    const name = [feed.reader, feed.source, feed.lane] as const;
    await database.execute(registerSql, name);
    const [row] = await database.query(takeSql, [...name, owner, leaseMs]);
    if (!row) return undefined;
    if (row.foreign !== null) {
      throw new Error(
        `The cursor of ${feed.reader} on ${feed.source}/${feed.lane} belongs to another server (${row.foreign}): rebase it before reading on.`,
      );
    }
    return new Progress(database, feed, { epoch: row.epoch, leaseMs, cursor: toCursor(row) });
  }

  /** The cursor as it stands in the database. */
  get saved(): Cursor {
    return this.#saved;
  }

  /** Whether so much of the lease has gone that it is time to save again, be it only to keep the lease. */
  get isDue(): boolean {
    return performance.now() - this.#savedAt > this.#leaseMs / 3;
  }

  /**
   * Moves the cursor: the first statement of every transaction of effects, so that an owner that was taken over, or a batch
   * that was already applied, stops here. Gives the database's time. All fields of the cursor are always written: a commit
   * that left out the snapshots would redeliver the whole window after a take-over.
   */
  async move(tx: Transaction, to: Cursor, watermark?: string): Promise<string> {
    const { reader, source, lane } = this.#feed;
    const { window } = to;
    const [row] = await tx.query(moveSql, [
      reader,
      source,
      lane,
      this.#epoch,
      this.#saved.high,
      this.#saved.window?.at ?? 0,
      to.snap,
      to.high,
      window?.nextSnap ?? null,
      window?.nextHigh ?? null,
      window?.at ?? 0,
      window?.takenAt ?? null,
      watermark ?? null,
      this.#leaseMs,
    ]);
    if (!row) throw new FencedError(this.#feed);
    tx.afterCommit(() => {
      this.#saved = to;
      this.#savedAt = performance.now();
    });
    return row.now;
  }

  /**
   * Makes sure that the lease is still ours, without a lock that would make settling wait for preparing. A take-over that
   * comes right behind it does no harm: what is prepared may be prepared twice, and only `move` lets effects commit.
   * Gives the database's time.
   */
  async check(tx: Transaction): Promise<string> {
    const { reader, source, lane } = this.#feed;
    const [row] = await tx.query(checkSql, [reader, source, lane, this.#epoch]);
    if (!row) throw new FencedError(this.#feed);
    return row.now;
  }

  /** Makes the lease last without moving the cursor. */
  async hold(): Promise<void> {
    const { reader, source, lane } = this.#feed;
    const held = await this.#database.execute(holdSql, [reader, source, lane, this.#epoch, this.#leaseMs]);
    if (held === 0) throw new FencedError(this.#feed);
    this.#savedAt = performance.now();
  }

  /** Now and then tells the source how far the saved cursor is, so that it keeps what is not read and lets go what is. */
  async reportNowAndThen(): Promise<void> {
    if (performance.now() < this.#reportDueAt) return;
    this.#reportDueAt = performance.now() + reportEveryMs;
    await this.#database.execute(reportSql(this.#feed.source), [this.#feed.reader, this.#feed.source, this.#feed.lane]);
  }

  /** Gives the lease back, so that the next owner need not wait for it to run out. */
  async release(): Promise<void> {
    const { reader, source, lane } = this.#feed;
    await this.#database.execute(releaseSql, [reader, source, lane, this.#epoch]);
  }
}

interface CursorRow {
  readonly snap: string;
  readonly high: number;
  readonly nextSnap: string | null;
  readonly nextHigh: number | null;
  readonly at: number;
  readonly nextTakenAt: string | null;
}

function toCursor({ snap, high, nextSnap, nextHigh, at, nextTakenAt }: CursorRow): Cursor {
  if (nextSnap === null || nextHigh === null) return { snap, high };
  return { snap, high, window: { nextSnap, nextHigh, at, ...(nextTakenAt !== null && { takenAt: nextTakenAt }) } };
}

/** Everything of `source` committed before this moment has been applied by `reader`; undefined while a lane was never read to its end. */
export async function watermarkOf(database: Database, reader: string, source: string): Promise<string | undefined> {
  const [row] = await database.query(watermarkSql, [reader, source]);
  return row?.watermark ?? undefined;
}
