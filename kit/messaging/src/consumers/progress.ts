/** A reader's progress and who may move it: one row per (reader, source, lane, slot), in the consumer's own schema. */

import {
  bigint,
  boolean,
  type Database,
  double,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
} from "@onsale/postgres";
import type { Cursor, CursorStore, Log } from "../log.ts";
import type { FeedName } from "../telemetry.ts";
import { placeOf } from "./cursor-place.ts";

/** Somebody else moved or took the cursor: what this transaction did must not be committed. */
export class FencedError extends Error {
  override readonly name = "FencedError";
  constructor({ reader, source, lane, slot }: FeedName) {
    super(`${reader} no longer owns its feed from ${source}/${lane}/${slot}.`);
  }
}

/** Partitions stay for days; a report every half minute is often enough to let them go. */
const reportEveryMs = 30_000;

const stream = [text, text, text, integer] as const;

const registerSql = sql("messaging.register-cursor", { takes: [...stream, integer], gives: {} })`
  insert into reader_cursor (reader, source, lane, slot, slots) values ($1, $2, $3, $4, $5)
  on conflict (reader, source, lane, slot) do nothing`;

const takeSql = sql("messaging.take-lease", {
  takes: [...stream, text, double],
  gives: { epoch: bigint, slots: integer, uncleanTakes: integer },
})`
  update reader_cursor as cursor
  set epoch = cursor.epoch + 1, owner = $5, lease_until = clock_timestamp() + $6 * interval '1 millisecond',
      unclean_takes = case when cursor.owner is null then 0 else cursor.unclean_takes + (cursor.owner <> $5)::int end,
      wanted_by = case when cursor.owner = $5 then cursor.wanted_by end,
      wanted_until = case when cursor.owner = $5 then cursor.wanted_until end
  where reader = $1 and source = $2 and lane = $3 and slot = $4
    and (owner is null or owner = $5 or lease_until < clock_timestamp()) and paused_at is null
    and (owner = $5 or wanted_by is null or wanted_by = $5 or wanted_until < clock_timestamp())
  returning epoch, slots, unclean_takes as "uncleanTakes"`;

const checkSql = sql("messaging.check-lease", { takes: [...stream, bigint], gives: { now: instant } })`
  select clock_timestamp() as now from reader_cursor
  where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5`;

const checkAtPlaceSql = sql("messaging.check-lease-at-place", {
  takes: [...stream, bigint, text],
  gives: { now: instant },
})`
  select clock_timestamp() as now from reader_cursor
  where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5 and ctid = $6::text::tid`;

const wantedBackSql = sql("messaging.is-wanted-back", { takes: stream, gives: { isWantedBack: boolean } })`
  select paused_at is not null or coalesce(wanted_until > clock_timestamp(), false) as "isWantedBack" from reader_cursor
  where reader = $1 and source = $2 and lane = $3 and slot = $4`;

const holdSql = sql("messaging.hold-lease", { takes: [...stream, bigint, double], gives: {} })`
  update reader_cursor set lease_until = clock_timestamp() + $6 * interval '1 millisecond'
  where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5`;

const releaseSql = sql("messaging.release-lease", { takes: [...stream, bigint], gives: {} })`
  update reader_cursor set owner = null, lease_until = '-infinity'
  where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5`;

const watermarkSql = sql("messaging.watermark", { takes: [text, text], gives: { watermark: nullable(instant) } })`
  select min(nullif(watermark, '-infinity')) as watermark from reader_cursor
  where reader = $1 and source = $2 having bool_and(watermark > '-infinity')`;

/** The right to move a cursor, held until another process takes it over, and how far it has been moved. */
export class Progress {
  readonly #database: Database;
  readonly #feed: FeedName;
  readonly #cursors: CursorStore;
  /** Counted up at every take-over; an owner with an older one can't commit anything any more. */
  readonly #epoch: number;
  readonly #leaseMs: number;
  #saved: Cursor;
  #savedAt = performance.now();
  #movedAt = Number.NEGATIVE_INFINITY;
  #isWantedBack = false;
  #reportDueAt = 0;
  /**
   * How many owners in a row ended without giving the lease back, and without moving the cursor: killed perhaps by the very
   * event that comes next.
   */
  readonly uncleanTakes: number;

  private constructor(
    database: Database,
    feed: FeedName,
    options: { cursors: CursorStore; epoch: number; leaseMs: number; cursor: Cursor; uncleanTakes: number },
  ) {
    this.#database = database;
    this.#feed = feed;
    this.#cursors = options.cursors;
    this.#epoch = options.epoch;
    this.#leaseMs = options.leaseMs;
    this.#saved = options.cursor;
    this.uncleanTakes = options.uncleanTakes;
  }

  /**
   * Takes the lease if it is free, ours, or run out. Undefined while another process holds it or was promised it, or the
   * stream is paused.
   */
  static async take(
    database: Database,
    feed: FeedName,
    { owner, leaseMs, log }: { owner: string; leaseMs: number; log: Log },
  ): Promise<Progress | undefined> {
    const slots = log.slots(feed.source);
    await database.execute(registerSql, [...nameOf(feed), slots]);
    const [row] = await database.query(takeSql, [...nameOf(feed), owner, leaseMs]);
    if (!row) return undefined;
    if (row.slots !== slots) {
      throw new Error(
        `${feed.reader} began to read ${feed.source}/${feed.lane} in ${row.slots} slots and can't go on in ${slots}: keys would change their stream.`,
      );
    }
    const cursor = await log.cursors.load(database, feed);
    return new Progress(database, feed, {
      cursors: log.cursors,
      epoch: row.epoch,
      leaseMs,
      cursor,
      uncleanTakes: row.uncleanTakes,
    });
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
   * that was already applied, stops here. Gives the database's time.
   */
  async move(tx: Transaction, to: Cursor, watermark?: string): Promise<string> {
    const moved = await this.#cursors.move(tx, this.#feed, {
      epoch: this.#epoch,
      from: this.#saved,
      to,
      ...(watermark !== undefined && { watermark }),
      leaseMs: this.#leaseMs,
    });
    if (!moved) throw new FencedError(this.#feed);
    tx.afterCommit(() => {
      this.#saved = to;
      this.#savedAt = performance.now();
      this.#movedAt = this.#savedAt;
      this.#isWantedBack = moved.isPaused || moved.isWanted === true;
    });
    return moved.now;
  }

  /**
   * Makes sure that the lease is still ours, without a lock that would make settling wait for preparing. A take-over that
   * comes right behind it does no harm: what is prepared may be prepared twice, and only `move` lets effects commit.
   * Gives the database's time.
   */
  async check(queryable: Queryable): Promise<string> {
    const known = await this.#checkAtPlace(queryable);
    if (known !== undefined) return known;
    const [row] = await queryable.query(checkSql, [...nameOf(this.#feed), this.#epoch]);
    if (!row) throw new FencedError(this.#feed);
    return row.now;
  }

  /** Undefined where the row has left its place. What moves it is mostly another transaction of this process: then it is looked for there. */
  async #checkAtPlace(queryable: Queryable): Promise<string | undefined> {
    let before: string | undefined;
    for (let place = placeOf(this.#saved); place !== before; place = placeOf(this.#saved)) {
      if (place === undefined) return undefined;
      const [row] = await queryable.query(checkAtPlaceSql, [...nameOf(this.#feed), this.#epoch, place]);
      if (row) return row.now;
      before = place;
    }
    return undefined;
  }

  /** Makes the lease last without moving the cursor. */
  async hold(): Promise<void> {
    const held = await this.#database.execute(holdSql, [...nameOf(this.#feed), this.#epoch, this.#leaseMs]);
    if (held === 0) throw new FencedError(this.#feed);
    this.#savedAt = performance.now();
  }

  /** Now and then tells the log how far the saved cursor is, so that it keeps what is not read and lets go what is. */
  async reportNowAndThen(): Promise<void> {
    if (performance.now() < this.#reportDueAt) return;
    this.#reportDueAt = performance.now() + reportEveryMs;
    await this.#cursors.report(this.#database, this.#feed);
  }

  /**
   * Whether the lease is to be given back, as it was within the last `milliseconds`: an operator has paused the stream, or a
   * process with fewer leases waits for it. Where the cursor moves, its row is not looked up for it: under an old transaction
   * every version of it would be looked at.
   */
  async wasWantedBackWithin(milliseconds: number): Promise<boolean> {
    if (performance.now() - this.#movedAt <= milliseconds) return this.#isWantedBack;
    const [row] = await this.#database.query(wantedBackSql, nameOf(this.#feed));
    return row?.isWantedBack ?? false;
  }

  /** Gives the lease back, so that the next owner need not wait for it to run out. */
  async release(): Promise<void> {
    await this.#database.execute(releaseSql, [...nameOf(this.#feed), this.#epoch]);
  }
}

const nameOf = ({ reader, source, lane, slot }: FeedName) => [reader, source, lane, slot] as const;

/** Everything of `source` committed before this moment has been applied by `reader`; undefined while a stream was never read to its end. */
export async function watermarkOf(database: Database, reader: string, source: string): Promise<string | undefined> {
  const [row] = await database.query(watermarkSql, [reader, source]);
  return row?.watermark ?? undefined;
}
