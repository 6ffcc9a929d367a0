/** A consumer that does nothing but remember, as much as its transactions do; it can crash between any two of its steps. */

import { randomUUID } from "node:crypto";
import type { Database } from "@onsale/postgres";
import { waitFor } from "@onsale/testing";
import { Progress } from "../src/consumers/progress.ts";
import type { Chunk, Cursor, Log, LogReader } from "../src/log.ts";
import { OutboxLog } from "../src/outbox/outbox-log.ts";
import type { FeedName } from "../src/telemetry.ts";
import type { OutboxLogTelemetry, SlotTrouble } from "../src/wal/wal-telemetry.ts";
import type { Row } from "./ledger-of-delivery.ts";

export const feed: FeedName = { reader: "beta", source: "alpha", lane: "online", slot: 0 };

export interface TestConsumerOptions {
  readonly limit?: number;
  readonly reader?: "snapshot" | "wal";
}

export class TestConsumer {
  readonly delivered: Row[] = [];
  readonly served: string[] = [];
  readonly troubles: SlotTrouble[] = [];
  readonly timelines: { from: number; to: number }[] = [];
  readonly faults: string[] = [];
  watermark = "";
  readonly #database: Database;
  readonly #limit: number;
  #kind: "snapshot" | "wal";
  #stop = new AbortController();
  #run: Promise<void> | undefined;

  constructor(database: Database, { limit = 100, reader = "wal" }: TestConsumerOptions = {}) {
    this.#database = database;
    this.#limit = limit;
    this.#kind = reader;
  }

  /** Which reader serves it now. */
  get servedBy(): string {
    return this.served.at(-1) ?? "snapshot";
  }

  start(kind: "snapshot" | "wal" = this.#kind): void {
    this.#kind = kind;
    this.#stop = new AbortController();
    this.#run = this.#serveUntilStopped(this.#stop.signal);
  }

  /** Ends without a word: what was read and not committed is forgotten. */
  async crash(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  async crashAndStart(kind?: "snapshot" | "wal"): Promise<void> {
    await this.crash();
    this.start(kind);
  }

  /** Waits until everything of `ids` was delivered. */
  async has(ids: readonly string[], withinMs = 60_000): Promise<void> {
    const missing = new Set(ids);
    let looked = 0;
    await waitFor(
      () => {
        for (; looked < this.delivered.length; looked++) missing.delete(this.delivered[looked]?.id ?? "");
        return missing.size === 0;
      },
      {
        withinMs,
        what: `the delivery of ${ids.length} events (served by ${this.served}; ${this.troubles}; ${this.faults.slice(-3)})`,
      },
    );
  }

  servedBecomes = (by: "snapshot" | "wal", withinMs = 30_000): Promise<unknown> =>
    waitFor(() => this.servedBy === by, {
      withinMs,
      what: `service by ${by} (served by ${this.served}; ${this.troubles}; ${this.faults.slice(-3)})`,
    });

  async #serveUntilStopped(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#serve(signal);
      } catch (error) {
        this.faults.push(error instanceof Error ? error.message : String(error));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  async #serve(signal: AbortSignal): Promise<void> {
    this.served.push("snapshot");
    const log: Log = new OutboxLog({
      database: this.#database,
      pollMs: 5,
      reader: this.#kind,
      telemetry: this.#telemetry,
    });
    const progress = await Progress.take(this.#database, feed, { owner: randomUUID(), leaseMs: 50, log });
    if (!progress) return;
    const reader = log.open(feed, [{ type: "thing.happened.v1", key: "key" }]);
    try {
      await this.#apply(progress, reader, signal);
    } finally {
      await reader.close();
    }
  }

  async #apply(progress: Progress, reader: LogReader, signal: AbortSignal): Promise<void> {
    let cursor: Cursor = progress.saved;
    while (!signal.aborted) {
      const chunk: Chunk = await reader.read(cursor, this.#limit);
      cursor = chunk.after;
      if (signal.aborted) return;
      if (chunk.events.length > 0 || progress.isDue)
        await this.#database.transaction((tx) => progress.move(tx, chunk.after, chunk.watermark));
      this.delivered.push(...chunk.events.map(({ event }) => event));
      if (chunk.watermark !== undefined) this.watermark = chunk.watermark;
      if (chunk.events.length === 0 && chunk.drained) await reader.wait(signal);
    }
  }

  readonly #telemetry: OutboxLogTelemetry = {
    servedBy: ({ by }) => void this.served.push(by),
    slotTrouble: ({ trouble, error }) => {
      this.troubles.push(trouble);
      this.faults.push(error.message);
    },
    timelineChanged: ({ from, to }) => void this.timelines.push({ from, to }),
  };
}
