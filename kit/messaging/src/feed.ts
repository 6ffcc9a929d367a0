import { setTimeout as sleep } from "node:timers/promises";
import {
  CommitUnknownError,
  type Database,
  isLockTimeout,
  isRetryable,
  isUnavailable,
  type Transaction,
} from "@onsale/postgres";
import { Doorbell } from "./doorbell.ts";
import type { Delivered, EventDefinition } from "./event.ts";
import { ParkingFullError, type RetryRule } from "./parking.ts";
import { FencedError, Progress } from "./progress.ts";
import { type Chunk, SessionLostError, SnapshotReader } from "./snapshot-reader.ts";
import type { FeedName, MessagingTelemetry } from "./telemetry.ts";
import type { WindowSource } from "./window.ts";

export interface FeedOptions {
  readonly name: FeedName;
  readonly database: Database;
  readonly windows: WindowSource;
  /** Who this process is, for the lease. */
  readonly owner: string;
  readonly telemetry: MessagingTelemetry;
  readonly retry: RetryRule;
  /** Milliseconds between looks at the outbox while no ring is heard. */
  readonly pollMs: number;
  /** Milliseconds after which another process may take over a feed whose owner is silent. */
  readonly leaseMs: number;
}

/** Longest pause between attempts after a fault of the machine. */
const longestPauseMs = 5_000;

/** One reader of one lane of one source: it holds the lease, reads, applies, and starts again after every fault of the machine. */
export abstract class Feed {
  readonly name: FeedName;
  protected readonly database: Database;
  protected readonly telemetry: MessagingTelemetry;
  protected readonly retry: RetryRule;
  protected readonly redriveEveryMs: number;
  readonly #options: FeedOptions;
  readonly #definitions: ReadonlyMap<string, EventDefinition>;
  readonly #bell: Doorbell;
  readonly #advanced = new Set<() => void>();
  #watermark = "";

  constructor(options: FeedOptions, consumers: readonly { on: readonly EventDefinition[] }[]) {
    this.#options = options;
    this.#definitions = new Map(consumers.flatMap(({ on }) => on).map((definition) => [definition.type, definition]));
    this.name = options.name;
    this.database = options.database;
    this.telemetry = options.telemetry;
    this.retry = options.retry;
    // Often enough that a first delay of a second is kept, seldom enough to cost nothing.
    this.redriveEveryMs = Math.min(250, options.retry.firstDelayMs);
    this.#bell = new Doorbell({ database: options.database.home.database, schema: options.name.source });
  }

  /** Everything of this lane committed before this moment has been applied by this process; empty before the first end of a window. */
  get watermark(): string {
    return this.#watermark;
  }

  /** Calls back whenever the watermark moves; gives the way to stop it. */
  onAdvance(react: () => void): () => void {
    this.#advanced.add(react);
    return () => this.#advanced.delete(react);
  }

  /** Reads until `signal` aborts; then what is under way is finished and the lease given back. */
  async run(signal: AbortSignal): Promise<void> {
    let faults = 0;
    while (!signal.aborted) {
      try {
        const servedSince = performance.now();
        await this.#serveUnderLease(signal);
        if (performance.now() - servedSince > longestPauseMs) faults = 0;
      } catch (error) {
        if (error instanceof FencedError) {
          this.telemetry.fenced(this.name);
        } else {
          const retryInMs = Math.min(longestPauseMs, 50 * 2 ** faults++) * (0.5 + Math.random() / 2);
          this.telemetry.interrupted({ ...this.name, error, retryInMs });
          await pause(retryInMs, signal);
        }
      }
    }
  }

  /** Reads and applies from where `progress` stands until `signal` aborts. A throw ends the tenure; what was not committed is read again. */
  protected abstract serve(progress: Progress, reader: SnapshotReader, signal: AbortSignal): Promise<void>;

  async #serveUnderLease(signal: AbortSignal): Promise<void> {
    const progress = await Progress.take(this.database, this.name, this.#options);
    if (!progress) {
      await pause(this.#options.leaseMs / 3, signal);
      return;
    }
    await this.serve(progress, this.#newReader(), signal);
    await progress.release();
  }

  #newReader(): SnapshotReader {
    const { source, lane } = this.name;
    return new SnapshotReader({
      database: this.database,
      windows: this.#options.windows,
      source,
      lane,
      types: [...this.#definitions.keys()],
    });
  }

  /**
   * There was nothing to apply in `chunk`. What was looked at need not be saved at once, since reading it again finds
   * nothing again; now and then it is, which also keeps the lease and tells other processes the watermark.
   */
  protected async rest(progress: Progress, chunk: Chunk, signal: AbortSignal): Promise<void> {
    if (progress.isDue) await this.database.transaction((tx) => progress.move(tx, chunk.after, chunk.watermark));
    if (chunk.watermark !== undefined) this.reached(chunk.watermark);
    if (chunk.drained) await this.listen(signal);
  }

  /** Waits for a ring of the source, or the poll. */
  protected listen(signal: AbortSignal): Promise<void> {
    return this.#bell.wait(this.#options.pollMs, signal);
  }

  /** Everything up to `watermark` has been applied. */
  protected reached(watermark: string): void {
    this.#watermark = watermark;
    for (const react of [...this.#advanced]) react();
  }

  inTransaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    return this.database.transaction(work);
  }

  /** An event that does not fit its schema is no use trying again: it is dead at once. */
  parkingRule(event: Delivered): { retry: RetryRule; dead: boolean } {
    return { retry: this.retry, dead: !this.#isWellFormed(event) };
  }

  tellParked(event: Delivered, error: unknown): void {
    this.telemetry.keyParked({ ...this.name, type: event.type, error });
    if (!this.#isWellFormed(event)) this.telemetry.keyDead({ ...this.name, type: event.type, error });
  }

  #isWellFormed(event: Delivered): boolean {
    return this.#definitions.get(event.type)?.validator.Check(event.data) ?? false;
  }
}

/** Faults that are not the event's: the whole batch is tried again as it was. */
export const isFaultOfMachine = (error: unknown): boolean =>
  error instanceof FencedError ||
  error instanceof SessionLostError ||
  error instanceof CommitUnknownError ||
  error instanceof ParkingFullError ||
  isUnavailable(error) ||
  isRetryable(error) ||
  isLockTimeout(error);

export const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal }).then(
    () => undefined,
    () => undefined,
  );
