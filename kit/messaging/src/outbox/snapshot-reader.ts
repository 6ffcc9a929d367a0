import {
  array,
  asBytes,
  bigint,
  composedSql,
  type Database,
  identifier,
  integer,
  nullable,
  type RowBytes,
  snapshot,
  text,
  xid8,
} from "@onsale/postgres";
import type { Delivered, Lane } from "../events/event.ts";
import type { HopMoments } from "../hops.ts";
import type { Chunk, ReadEvent } from "../log.ts";
import type { FeedName } from "../telemetry.ts";
import { outboxColumns, outboxRow, selectedColumns, toDelivered } from "./outbox-row.ts";
import { endedBetween, type WindowSource } from "./window.ts";
import { layoutOf, WrittenRow } from "./written-row.ts";

/**
 * How far a reader has come: it was given everything that is visible in `snap` up to position `high`. While a window is
 * open, also everything of that window up to position `at`: first the stragglers (positions up to `high` that became
 * visible since `snap`), then the new positions.
 */
export interface OutboxCursor {
  readonly snap: string;
  readonly high: number;
  readonly window?: OpenWindow;
  /** While the write-ahead log is read: how far. `snap` and `high` then lag behind, so that the table can be read on from them. */
  readonly wal?: WalPosition;
}

export interface WalPosition {
  /** Every transaction whose commit lies before this place in the log was given. */
  readonly lsn: bigint;
  /** Of which server, timeline and publication the place speaks. */
  readonly origin: string;
}

export interface OpenWindow {
  readonly nextSnap: string;
  readonly nextHigh: number;
  readonly at: number;
  /** The watermark that the window's end brings; absent when the window was cut at the cap and more is known to follow. */
  readonly takenAt?: string;
}

/** The connection was replaced since the cursor was read: go on from the cursor in the database, with a new reader. */
export class SessionLostError extends Error {
  override readonly name = "SessionLostError";
  constructor() {
    super("The connection to the source was replaced; snapshots in memory are void.");
  }
}

/** Positions that one window covers at most, so that a pass over a huge open transaction stays below 10 ms. */
const windowCap = 50_000;

/** Before the first transaction id that a user can have: nothing is visible in it. */
export const beginning: OutboxCursor = { snap: "3:3:", high: 0 };

/**
 * Rows of transactions that were open at the last window and have committed since, from the middle of the outbox. The rows of
 * what was rolled back may be many, and are not gone through.
 */
const stragglersSql = (outbox: string, name: string) =>
  asBytes(
    composedSql(`messaging.read-stragglers-${name}`, {
      takes: [array(xid8), bigint, bigint, nullable(array(text)), bigint, integer, integer],
      gives: outboxRow,
      text: `
      select ${outboxColumns}
      from unnest($1::xid8[]) as late(xid) cross join lateral (
        select * from ${outbox} as event
        where event.xid = late.xid and event.position > $2 and event.position <= $3
          and ($4::text[] is null or event.type = any($4)) and ($6 = 1 or slot_of(event.aggregateid, $6) = $7)
        order by event.position limit $5
      ) as straggler
      where coalesce(pg_xact_status(late.xid), 'committed') <> 'aborted'
      order by straggler.position limit $5`,
    }),
  );

const arrivalsSql = (outbox: string, name: string) =>
  asBytes(
    composedSql(`messaging.read-arrivals-${name}`, {
      takes: [snapshot, bigint, bigint, nullable(array(text)), bigint, integer, integer],
      gives: outboxRow,
      text: `
      select ${outboxColumns} from ${outbox}
      where position > $2 and position <= $3 and pg_visible_in_snapshot(xid, $1::pg_snapshot)
        and ($4::text[] is null or type = any($4)) and ($6 = 1 or slot_of(aggregateid, $6) = $7)
      order by position limit $5`,
    }),
  );

/** Rows stay as they were written until somebody wants an event: a relay copies them into the records of its topic. */
const layout = layoutOf(selectedColumns, { isTagged: false });

/**
 * Reads one lane of one outbox in windows between two snapshots. It neither skips a late commit, nor reorders a key (its
 * writers hold the key's row lock before they insert), nor waits for a long transaction elsewhere. After the snapshot
 * queues of PgQ (Skytools), with a position inside the window.
 */
export class SnapshotReader {
  readonly #database: Database;
  readonly #windows: WindowSource;
  readonly #stream: Stream;
  readonly #types: readonly string[] | null;
  readonly #part: { readonly slots: number; readonly slot: number };
  readonly #stragglersSql: ReturnType<typeof stragglersSql>;
  readonly #arrivalsSql: ReturnType<typeof arrivalsSql>;
  #session: string | undefined;
  /** When the window's snapshot was taken, which shows what it brings. */
  #moments: HopMoments = {};

  constructor(options: {
    database: Database;
    windows: WindowSource;
    source: string;
    lane: Lane;
    /** Absent: every type. */
    types?: readonly string[];
    /** Which of how many parts of the keys. Absent: all keys. */
    part?: { readonly slots: number; readonly slot: number };
  }) {
    const name = `${options.source}-${options.lane}`;
    const outbox = `${identifier(options.source)}.outbox_${options.lane}`;
    this.#database = options.database;
    this.#windows = options.windows;
    this.#stream = { source: options.source, lane: options.lane };
    this.#types = options.types ?? null;
    this.#part = options.part ?? { slots: 1, slot: 0 };
    this.#stragglersSql = stragglersSql(outbox, name);
    this.#arrivalsSql = arrivalsSql(outbox, name);
  }

  /** The next at most `limit` events behind `cursor`. An empty chunk that is `drained` means that nothing more has been committed. */
  async read(cursor: OutboxCursor, limit: number): Promise<Chunk<OutboxCursor>> {
    const open = cursor.window ? { ...cursor, window: cursor.window } : await this.#openWindow(cursor);
    const events = await this.#readBoth(open, limit);
    if (events.length === limit) return partOfWindow(open, events);
    const { nextSnap, nextHigh, takenAt } = open.window;
    return {
      events,
      after: { snap: nextSnap, high: nextHigh },
      ...(takenAt !== undefined && { watermark: takenAt }),
      drained: takenAt !== undefined,
    };
  }

  async #openWindow({ snap, high }: OutboxCursor): Promise<OpenCursor> {
    const { snapshot: nextSnap, highs, takenAt, session } = await this.#windows.next();
    if (this.#session !== undefined && this.#session !== session) throw new SessionLostError();
    this.#session = session;
    this.#moments = { visible: Date.parse(takenAt) };
    const allocated = Math.max(highs[this.#stream.lane], high);
    const nextHigh = Math.min(allocated, high + windowCap);
    return { snap, high, window: { nextSnap, nextHigh, at: 0, ...(nextHigh === allocated && { takenAt }) } };
  }

  /** Stragglers, then arrivals, `limit` at most. */
  async #readBoth(open: OpenCursor, limit: number): Promise<ReadEvent<OutboxCursor>[]> {
    const { at } = open.window;
    // Within stragglers there were more than a chunk has room for, and arrivals would be read in vain.
    if (at > 0 && at < open.high) {
      const stragglers = await this.#readStragglers(open, limit);
      if (stragglers.length === limit) return stragglers;
      return [...stragglers, ...(await this.#readArrivals(open, limit - stragglers.length))];
    }
    // Nearly always there is room for both, which then cost one round trip.
    const both = await Promise.all([this.#readStragglers(open, limit), this.#readArrivals(open, limit)]);
    return both.flat().slice(0, limit);
  }

  async #readStragglers({ snap, high, window }: OpenCursor, limit: number): Promise<ReadEvent<OutboxCursor>[]> {
    if (window.at >= high) return [];
    const late = endedBetween(snap, window.nextSnap);
    if (late.length === 0) return [];
    const rows = await this.#database.query(this.#stragglersSql, [
      late,
      window.at,
      high,
      this.#types,
      limit,
      this.#part.slots,
      this.#part.slot,
    ]);
    return rows.map((row) => this.#toReadEvent({ snap, high, window }, row));
  }

  async #readArrivals({ snap, high, window }: OpenCursor, limit: number): Promise<ReadEvent<OutboxCursor>[]> {
    const at = Math.max(window.at, high);
    if (at >= window.nextHigh) return [];
    const rows = await this.#database.query(this.#arrivalsSql, [
      window.nextSnap,
      at,
      window.nextHigh,
      this.#types,
      limit,
      this.#part.slots,
      this.#part.slot,
    ]);
    return rows.map((row) => this.#toReadEvent({ snap, high, window }, row));
  }

  #toReadEvent(open: OpenCursor, { bytes, start, end }: RowBytes): ReadEvent<OutboxCursor> {
    const row = new WrittenRow(bytes, { start, size: end - start }, layout);
    return new ReadRow(row, this.#stream, open, this.#moments);
  }
}

/** Read, and the cursor behind it made, when somebody asks: of most batches only the last row's cursor is wanted. */
class ReadRow implements ReadEvent<OutboxCursor> {
  readonly written: WrittenRow;
  readonly moments: HopMoments;
  readonly #stream: Stream;
  readonly #open: OpenCursor;
  #event: Delivered | undefined;

  constructor(written: WrittenRow, stream: Stream, open: OpenCursor, moments: HopMoments) {
    this.written = written;
    this.moments = moments;
    this.#stream = stream;
    this.#open = open;
  }

  get event(): Delivered {
    this.#event ??= toDelivered(this.written.read(), this.#stream);
    return this.#event;
  }

  get after(): OutboxCursor {
    return { ...this.#open, window: { ...this.#open.window, at: this.written.position } };
  }
}

type Stream = Pick<FeedName, "source" | "lane">;

type OpenCursor = OutboxCursor & { readonly window: OpenWindow };

function partOfWindow(open: OpenCursor, events: readonly ReadEvent<OutboxCursor>[]): Chunk<OutboxCursor> {
  return { events, after: events.at(-1)?.after ?? open, drained: false };
}
