import type { Database } from "@onsale/postgres";
import { Doorbell } from "./doorbell.ts";
import type { Chunk, CursorStore, Log, LogReader } from "./log.ts";
import { outboxCursors } from "./outbox-cursor.ts";
import { type OutboxCursor, SnapshotReader } from "./snapshot-reader.ts";
import type { FeedName } from "./telemetry.ts";
import { WindowSource } from "./window.ts";

export interface OutboxLogOptions {
  /** The consumers' database, on the server where the outboxes are. */
  readonly database: Database;
  /** Milliseconds between looks at an outbox that has long been quiet, while no ring is heard. Default 100. */
  readonly pollMs?: number;
  /** Streams that each lane is divided into, by key. Default 1. */
  readonly slots?: number;
}

/** The PostgreSQL log: consumers read the outboxes directly, so there is no copy and no relay. */
export class OutboxLog implements Log {
  readonly cursors: CursorStore = outboxCursors;
  readonly #database: Database;
  readonly #pollMs: number;
  readonly #slots: number;
  /** One per source, shared by all of its streams. */
  readonly #windows = new Map<string, WindowSource>();

  constructor({ database, pollMs = 100, slots = 1 }: OutboxLogOptions) {
    this.#database = database;
    this.#pollMs = pollMs;
    this.#slots = slots;
  }

  slots(): number {
    return this.#slots;
  }

  open({ source, lane, slot }: FeedName, types: readonly string[]): LogReader {
    const reader = new SnapshotReader({
      database: this.#database,
      windows: this.#windowsOf(source),
      source,
      lane,
      types,
      part: { slots: this.#slots, slot },
    });
    const ear = new Ear(new Doorbell({ database: this.#database.home.database, schema: source }), this.#pollMs);
    return {
      async read(cursor: OutboxCursor, limit: number): Promise<Chunk> {
        const chunk = await reader.read(cursor, limit);
        ear.found(chunk.events.length > 0);
        return chunk;
      },
      wait: (signal) => ear.wait(signal),
      close: async () => undefined,
    };
  }

  #windowsOf(source: string): WindowSource {
    const known = this.#windows.get(source) ?? new WindowSource(this.#database, source);
    this.#windows.set(source, known);
    return known;
  }
}

/** Between looks while events come from another process: half of it is what such an event waits on average. */
const shortestPollMs = 2;

/**
 * Waits for a ring of the same process, or polls: the more often, the more lately a poll found what no ring told of. So
 * a writer in another process is heard within milliseconds, and a quiet outbox costs a few looks a second.
 */
class Ear {
  readonly #bell: Doorbell;
  readonly #longestMs: number;
  #delayMs: number;
  #polled = false;

  constructor(bell: Doorbell, longestMs: number) {
    this.#bell = bell;
    this.#longestMs = longestMs;
    this.#delayMs = longestMs;
  }

  async wait(signal: AbortSignal): Promise<void> {
    this.#polled = !(await this.#bell.wait(this.#delayMs, signal));
  }

  /** What the look after the last wait gave. */
  found(something: boolean): void {
    if (!this.#polled) return;
    this.#polled = false;
    // Ten per cent longer after each look in vain: half a second of silence is enough to come to rest.
    this.#delayMs = something ? shortestPollMs : Math.min(this.#longestMs, this.#delayMs * 1.1);
  }
}
