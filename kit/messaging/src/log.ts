/** Where consumers read from: the outboxes of PostgreSQL directly, or topics of Kafka that a relay fills. */

import type { Database, Transaction } from "@onsale/postgres";
import type { Delivered, EventDefinition } from "./events/event.ts";
import type { HopMoments } from "./hops.ts";
import type { WrittenRow } from "./outbox/written-row.ts";
import type { FeedName } from "./telemetry.ts";

/** A log, as the feeds of one service see it. */
export interface Log {
  /**
   * Streams that a lane of a source is divided into, by key. Each has a cursor and a lease of its own, so that processes
   * share the work by moving leases. The number never changes while its readers live: a key would change its stream, and
   * lose its order.
   */
  slots(source: string): number;
  /** How the progress of this log's readers is saved. */
  readonly cursors: CursorStore;
  /** Begins to read a stream; only events of these types are given, or all. One owner of the stream's lease reads at a time. */
  open(feed: FeedName, types?: readonly HeardType[]): LogReader;
}

/** A type that is heard, and which field of its data is the key. */
export type HeardType = Pick<EventDefinition, "type" | "key">;

/** How far a reader has come, in the words of its log. Feeds carry it about and never look inside. */
export type Cursor = object;

/** Events in the order of delivery, each with the cursor that belongs behind it. */
export interface Chunk<Behind extends Cursor = Cursor> {
  readonly events: readonly ReadEvent<Behind>[];
  /** The cursor behind the whole chunk, including what the reader does not listen to. */
  readonly after: Behind;
  /** Everything that the source committed before this moment (RFC 3339, its database's time) has been read. */
  readonly watermark?: string;
  /** Nothing more was there to be read. */
  readonly drained: boolean;
}

export interface ReadEvent<Behind extends Cursor = Cursor> {
  readonly event: Delivered;
  readonly after: Behind;
  /** The same event as its row was written, where the log has it so. */
  readonly written?: WrittenRow;
  /** When it passed the hops on its way here, as far as the log knows. */
  readonly moments?: HopMoments;
}

/** Reads one stream for one tenure of its owner. */
export interface LogReader {
  /** The next at most `limit` events behind `cursor`: the one given last, or at the beginning the saved one. */
  read(cursor: Cursor, limit: number): Promise<Chunk>;
  /** Resolves when there may be more to read, or when `signal` aborts. */
  wait(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** A move of a saved cursor, on the condition that `from` and `epoch` still stand. */
export interface CursorMove {
  readonly epoch: number;
  readonly from: Cursor;
  readonly to: Cursor;
  readonly watermark?: string;
  /** How long the lease lasts from now, in milliseconds. */
  readonly leaseMs: number;
}

/** What the row of a cursor says when it is moved. */
export interface Moved {
  /** The database's time. */
  readonly now: string;
  /** Whether an operator has paused the stream. */
  readonly isPaused: boolean;
  /** Whether a process with fewer leases waits for this one. Absent: not looked at. */
  readonly isWanted?: boolean;
}

export interface CursorStore {
  /** The saved cursor. Asked right after the lease was taken, so nobody else moves it. Throws when it can't be read on from. */
  load(database: Database, feed: FeedName): Promise<Cursor>;
  /**
   * Moves the cursor in the transaction of the effects, which also ends the count of `unclean_takes`. Undefined when somebody
   * else moved it.
   */
  move(tx: Transaction, feed: FeedName, move: CursorMove): Promise<Moved | undefined>;
  /** Tells the log how far the saved cursor is, so that it keeps what is not read and may let go what is. */
  report(database: Database, feed: FeedName): Promise<void>;
}
