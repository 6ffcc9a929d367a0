import type { Database, Transaction } from "@onsale/postgres";
import type { JoinableLog, StartingPoint } from "../consumers/starting-point.ts";
import type { Lane } from "../events/event.ts";
import type { Chunk, Cursor, CursorMove, CursorStore, HeardType, LogReader, Moved } from "../log.ts";
import type { FeedName } from "../telemetry.ts";
import { WalReader } from "../wal/wal-reader.ts";
import { type OutboxLogTelemetry, silentLogTelemetry } from "../wal/wal-telemetry.ts";
import { Doorbell, type Waker } from "./doorbell.ts";
import { Lookout } from "./lookout.ts";
import { beginOutboxCursors, noticeTimeline, outboxCursors } from "./outbox-cursor.ts";
import { type OutboxCursor, SnapshotReader } from "./snapshot-reader.ts";
import type { WindowSource } from "./window.ts";

export interface OutboxLogOptions {
  /** The consumers' database, on the server where the outboxes are. */
  readonly database: Database;
  /** Milliseconds between looks at an outbox that has long been quiet, while no ring is heard. Default 100. */
  readonly pollMs?: number;
  /** Shared with other logs of this process, so that their looks are one; it brings its own `pollMs`. Default: one of its own. */
  readonly lookout?: Lookout;
  /** Streams that each lane is divided into, by key. Default 1. */
  readonly slots?: number;
  /**
   * `snapshot` (default): by SQL, in windows between two snapshots. `wal`: from the write-ahead log through a replication
   * slot per stream, as the user of the database's URL, who needs the right to replicate; and by SQL whenever the slot
   * can't be read from. It may be changed at every start, in both directions.
   */
  readonly reader?: "snapshot" | "wal";
  readonly telemetry?: Partial<OutboxLogTelemetry>;
}

/** The PostgreSQL log: consumers read the outboxes directly, so there is no copy and no relay. */
export class OutboxLog implements JoinableLog {
  readonly cursors: CursorStore = {
    load: (database, feed) => this.#load(database, feed),
    move: (tx, feed, move) => this.#move(tx, feed, move),
    report: outboxCursors.report,
  };
  readonly #database: Database;
  readonly #kind: "snapshot" | "wal";
  readonly #telemetry: OutboxLogTelemetry;
  /** The open readers of slots, to be told what is settled. */
  readonly #walReaders = new Map<string, WalReader>();
  readonly #lookout: Lookout;
  readonly #slots: number;

  constructor({ database, pollMs, lookout, slots = 1, reader = "snapshot", telemetry = {} }: OutboxLogOptions) {
    this.#database = database;
    this.#kind = reader;
    this.#telemetry = { ...silentLogTelemetry, ...telemetry };
    this.#lookout = lookout ?? new Lookout({ database, ...(pollMs !== undefined && { pollMs }) });
    this.#slots = slots;
  }

  slots(): number {
    return this.#slots;
  }

  open(feed: FeedName, heard?: readonly HeardType[]): LogReader {
    const types = heard?.map(({ type }) => type);
    const { source, lane, slot } = feed;
    const windows = this.#lookout.windowsOf(source);
    const part = { slots: this.#slots, slot };
    const snapshots = new SnapshotReader({
      database: this.#database,
      windows,
      source,
      lane,
      part,
      ...(types && { types }),
    });
    const bell = new Doorbell({ database: this.#database.home.database, schema: source });
    const ear = new Ear(bell, this.#lookout);
    if (this.#kind === "wal") return this.#openWal(feed, types, { windows, snapshots, bell, ear });
    return {
      async read(cursor: OutboxCursor, limit: number): Promise<Chunk> {
        const chunk = await snapshots.read(cursor, limit);
        ear.found(chunk.events.length > 0);
        return chunk;
      },
      wait: (signal) => ear.wait(signal),
      close: async () => undefined,
    };
  }

  begin(tx: Transaction, reader: { name: string; lanes: readonly Lane[] }, from: StartingPoint): Promise<boolean> {
    return beginOutboxCursors(tx, { ...reader, slots: this.#slots }, from);
  }

  #openWal(
    feed: FeedName,
    types: readonly string[] | undefined,
    parts: { windows: WindowSource; snapshots: SnapshotReader; bell: Doorbell; ear: Ear },
  ): LogReader {
    const [database, telemetry, slots] = [this.#database, this.#telemetry, this.#slots];
    const reader = new WalReader({ feed, types, slots, database, telemetry, ...parts });
    this.#walReaders.set(keyOf(feed), reader);
    return reader;
  }

  async #load(database: Database, feed: FeedName): Promise<Cursor> {
    const cursor = await outboxCursors.load(database, feed);
    const change = await noticeTimeline(database, feed);
    if (change) this.#telemetry.timelineChanged({ ...feed, ...change });
    return cursor;
  }

  async #move(tx: Transaction, feed: FeedName, move: CursorMove): Promise<Moved | undefined> {
    const moved = await outboxCursors.move(tx, feed, move);
    const reader = this.#walReaders.get(keyOf(feed));
    // Only what is committed is acknowledged: the server forgets what is.
    if (reader) tx.afterCommit(() => reader.settled(move.to as OutboxCursor));
    return moved;
  }
}

const keyOf = ({ reader, source, lane, slot }: FeedName): string => `${reader}/${source}/${lane}/${slot}`;

/** Between looks while events come from another process: half of it is what such an event waits on average. */
const shortestPollMs = 2;

/**
 * Waits for a ring of the same process, or polls: the more often, the more lately a poll found what no ring told of. So
 * a writer in another process is heard within milliseconds, and a quiet outbox costs a few looks a second.
 */
class Ear {
  readonly #bell: Doorbell;
  readonly #lookout: Lookout;
  readonly #atRest: Waker;
  #delayMs: number;
  #polled = false;

  constructor(bell: Doorbell, lookout: Lookout) {
    this.#bell = bell;
    this.#lookout = lookout;
    this.#atRest = (wake) => lookout.onBeat(wake);
    this.#delayMs = lookout.pollMs;
  }

  async wait(signal: AbortSignal): Promise<void> {
    const rests = this.#delayMs === this.#lookout.pollMs;
    this.#polled = !(await this.#bell.wait(rests ? this.#atRest : this.#delayMs, signal));
  }

  /** What the look after the last wait gave. */
  found(something: boolean): void {
    if (!this.#polled) return;
    this.#polled = false;
    // Ten per cent longer after each look in vain: half a second of silence is enough to come to rest.
    this.#delayMs = something ? shortestPollMs : Math.min(this.#lookout.pollMs, this.#delayMs * 1.1);
  }
}
