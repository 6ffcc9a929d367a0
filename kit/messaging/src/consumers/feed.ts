import { setTimeout as sleep } from "node:timers/promises";
import {
  CommitUnknownError,
  type Database,
  isLockTimeout,
  isRetryable,
  isUnavailable,
  type Queryable,
  type Transaction,
} from "@onsale/postgres";
import type { Delivered, EventDefinition } from "../events/event.ts";
import { whyMisplaced } from "../events/misplaced.ts";
import { isKeepable } from "../events/storable.ts";
import { hopDurations } from "../hops.ts";
import type { Chunk, Log, LogReader, ReadEvent } from "../log.ts";
import { SessionLostError } from "../outbox/snapshot-reader.ts";
import type { FeedName, MessagingTelemetry } from "../telemetry.ts";
import type { Findings } from "./inbox.ts";
import type { LaneGate } from "./lane-gate.ts";
import { askForLease, wishMs } from "./lease-share.ts";
import {
  type Attempt,
  beginAttempt,
  dueKeys,
  failAttempt,
  holdAttempt,
  type KeyName,
  keepMisplaced,
  keepPassedOver,
  ParkingFullError,
  type ParkingRule,
  type RetryRule,
  takeBackAttempt,
} from "./parking.ts";
import { FencedError, Progress } from "./progress.ts";
import { ThreadTurn } from "./thread-turn.ts";

export interface FeedOptions {
  readonly name: FeedName;
  readonly database: Database;
  readonly log: Log;
  /** Who this process is, for the lease. */
  readonly owner: string;
  readonly telemetry: MessagingTelemetry;
  /** One for all feeds of a process. */
  readonly gate: LaneGate;
  readonly retry: RetryRule;
  /** Milliseconds after which another process may take over a feed whose owner is silent. */
  readonly leaseMs: number;
}

/** Owners that an event may end before it is set aside: two may be chance (a deploy, the machine). */
const endsOfOwners = 3;

/** Parked keys tried in one go, so that the stream goes on in between. */
const retryLimit = 20;

/** Milliseconds between looks whether the lease is wanted back: an operator's word is obeyed within a second. */
const wantedBackLookMs = 400;

/** Milliseconds between looks whether a lease that was asked for is free. */
const promisedLookMs = 100;

/** Who could not serve a stream takes what is free, and asks nobody for it, for so many milliseconds: others serve it meanwhile. */
const contentAfterFaultMs = 60_000;

/** Longest pause between attempts after a fault of the machine. */
const longestPauseMs = 5_000;

/** One reader of one lane of one source: it holds the lease, reads, applies, and starts again after every fault of the machine. */
export abstract class Feed {
  readonly name: FeedName;
  readonly database: Database;
  protected readonly telemetry: MessagingTelemetry;
  protected readonly gate: LaneGate;
  readonly retry: RetryRule;
  protected readonly redriveEveryMs: number;
  readonly #options: FeedOptions;
  readonly #definitions: ReadonlyMap<string, EventDefinition>;
  readonly #advanced = new Set<() => void>();
  #watermark = "";
  #isOwned = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: FeedOptions, consumers: readonly { on: readonly EventDefinition[] }[]) {
    this.#options = options;
    this.#definitions = new Map(consumers.flatMap(({ on }) => on).map((definition) => [definition.type, definition]));
    this.name = options.name;
    this.database = options.database;
    this.telemetry = options.telemetry;
    this.gate = options.gate;
    this.retry = options.retry;
    // Often enough that a first delay of a second is kept, seldom enough to cost nothing.
    this.redriveEveryMs = Math.min(250, options.retry.firstDelayMs);
  }

  /** Everything of this lane committed before this moment has been applied by this process; empty before the first end of a window. */
  get watermark(): string {
    return this.#watermark;
  }

  /** Whether this process reads the stream; otherwise another may. */
  get isOwned(): boolean {
    return this.#isOwned;
  }

  /** Calls back whenever the watermark moves; gives the way to stop it. */
  onAdvance(react: () => void): () => void {
    this.#advanced.add(react);
    return () => this.#advanced.delete(react);
  }

  /** Reads until `signal` aborts; then what is under way is finished and the lease given back, or left when `abandon` aborts. */
  async run(signal: AbortSignal, abandon: AbortSignal): Promise<void> {
    let faults = 0;
    while (!signal.aborted) {
      try {
        const servedSince = performance.now();
        await this.#serveUnderLease(signal, abandon);
        if (performance.now() - servedSince > longestPauseMs) faults = 0;
      } catch (error) {
        if (error instanceof FencedError) {
          this.telemetry.fenced(this.name);
        } else {
          this.#failedAt = performance.now();
          const retryInMs = Math.min(longestPauseMs, 50 * 2 ** faults++) * (0.5 + Math.random() / 2);
          this.telemetry.interrupted({ ...this.name, error, retryInMs });
          await pause(retryInMs, signal);
        }
      }
    }
  }

  /** Reads and applies from where `progress` stands until `signal` aborts. A throw ends the tenure; what was not committed is read again. */
  protected abstract serve(
    progress: Progress,
    reader: LogReader,
    signal: AbortSignal,
    abandon: AbortSignal,
  ): Promise<void>;

  async #serveUnderLease(signal: AbortSignal, abandon: AbortSignal): Promise<void> {
    const progress = await Progress.take(this.database, this.name, this.#options);
    if (!progress) {
      await pause((await this.#isPromised()) ? promisedLookMs : this.#options.leaseMs / 3, signal);
      return;
    }
    this.#askedAt = Number.NEGATIVE_INFINITY;
    const reader = this.#options.log.open(this.name, [...this.#definitions.values()]);
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    const watch = this.#endWhenWantedBack(progress, stop, over);
    this.#isOwned = true;
    try {
      await this.serve(progress, reader, stop, abandon);
    } finally {
      this.#isOwned = false;
      over.abort();
      await watch;
      await reader.close();
    }
    // With something left under way the lease runs out by itself: nobody else may begin it before.
    if (!abandon.aborted) await progress.release();
  }

  /** Whether the lease is to come to this process soon, because who has it has more of them. */
  async #isPromised(): Promise<boolean> {
    // The only lease of a lane is not shared.
    if (this.#options.log.slots(this.name.source) === 1) return false;
    const now = performance.now();
    if (now - this.#failedAt < contentAfterFaultMs) return false;
    // Not renewed more often: it is a write to the row that its owner moves.
    if (now - this.#askedAt < wishMs / 2) return true;
    const answer = await askForLease(this.database, this.name, this.#options.owner);
    if (answer === "asked") this.#askedAt = now;
    return answer !== "content";
  }

  /**
   * An operator may pause the stream, and a process with fewer leases may ask for it: then what is under way is finished, and
   * nobody takes the lease until it is resumed, or nobody but that process.
   */
  async #endWhenWantedBack(progress: Progress, stop: AbortSignal, over: AbortController): Promise<void> {
    while (!stop.aborted) {
      await pause(wantedBackLookMs, stop);
      // A database that does not answer is noticed, and told, where the stream is read.
      if (!stop.aborted && (await progress.wasWantedBackWithin(wantedBackLookMs).catch(() => false))) over.abort();
    }
  }

  /**
   * There was nothing to apply in `chunk`. What was looked at need not be saved at once, since reading it again finds
   * nothing again; now and then it is, which also keeps the lease and tells other processes the watermark.
   */
  protected async rest(progress: Progress, reader: LogReader, chunk: Chunk, signal: AbortSignal): Promise<void> {
    // As long as nobody knows whether anything is there, what ended the owners before may still be to come.
    if (progress.isDue && !chunk.drained) await progress.hold();
    else if (progress.isDue) await this.database.transaction((tx) => progress.move(tx, chunk.after, chunk.watermark));
    if (chunk.watermark !== undefined) this.reached(chunk.watermark);
    if (chunk.drained) await reader.wait(signal);
  }

  /** Everything up to `watermark` has been applied. */
  protected reached(watermark: string): void {
    this.#watermark = watermark;
    for (const react of [...this.#advanced]) react();
  }

  /** Whether the next event ended so many owners that it must not be tried again. */
  isPoison(progress: Progress): boolean {
    return progress.uncleanTakes >= endsOfOwners;
  }

  inTransaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    return this.database.transaction(work);
  }

  /**
   * The chunk without events whose data name another key than their own. They are kept for a person to see before the cursor
   * passes them; no key waits for them, and nothing of theirs counts as had.
   */
  protected async withoutMisplaced(chunk: Chunk): Promise<Chunk> {
    const misplaced = new Set<ReadEvent>();
    const thread = new ThreadTurn();
    for (const read of chunk.events) {
      if (thread.isOver) await thread.passOn();
      // Here it is parsed, which of all that is done with it takes this process longest.
      const { event } = read;
      const field = this.#definitions.get(event.type)?.key ?? "";
      // Data that name no key do not fit their schema, which an edit of the letter can mend.
      const named = (event.data as Readonly<Record<string, unknown>> | null)?.[field];
      const why = typeof named === "string" ? whyMisplaced(event, field) : undefined;
      if (why === undefined) continue;
      misplaced.add(read);
      const error = new MisplacedError(`It is kept apart: ${why}.`);
      await keepMisplaced(this.database, this.name.reader, event, error);
      this.telemetry.keyDead({ ...this.name, type: event.type, error });
    }
    if (misplaced.size === 0) return chunk;
    return { ...chunk, events: chunk.events.filter((read) => !misplaced.has(read)) };
  }

  /** What is wrong with an event that failed: where it does not fit its schema that, whatever its handler stumbled over. */
  faultOf({ type, data }: Delivered, error: unknown): unknown {
    if (error instanceof PoisonError) return error;
    const definition = this.#definitions.get(type);
    const why = definition ? definition.whyUnreadable(data) : "nobody here hears that any more";
    return why === undefined ? error : new MalformedError(`It is no ${type}: ${why}.`, { cause: error });
  }

  /** `error` as `faultOf` gives it. What no further attempt can mend is dead at once. */
  parkingRule(event: Delivered, error: unknown): ParkingRule {
    return {
      retry: this.retry,
      dead: error instanceof PoisonError || error instanceof MalformedError || !isKeepable(event),
      whenDead: this.#definitions.get(event.type)?.whenDead ?? "block",
    };
  }

  /** Effects of these events were committed; `fetchedAt`, in milliseconds since 1970, is when this process had them. */
  tellApplied(events: readonly ReadEvent[], took: { milliseconds: number; fetchedAt: number }): void {
    const [oldest] = events;
    if (!oldest) return;
    const insertedAt = Date.parse(oldest.event.time);
    const processed = Date.now();
    this.telemetry.batchApplied({
      ...this.name,
      events: events.length,
      milliseconds: took.milliseconds,
      oldestAgeMs: processed - insertedAt,
      hops: hopDurations(insertedAt, { ...oldest.moments, fetched: took.fetchedAt, processed }),
    });
  }

  /** What becomes of what claims in this transaction find out about producers; told when it is committed. */
  findingsIn = (tx: Transaction): Findings<Delivered> => this.#findings(tx, (tell) => tx.afterCommit(tell));

  /** The same outside of a transaction. */
  findings = (): Findings<Delivered> => this.#findings(this.database, (tell) => tell());

  #findings(queryable: Queryable, whenKept: (tell: () => void) => void): Findings<Delivered> {
    return {
      toldAnew: (told) => whenKept(() => this.telemetry.toldAnew({ ...this.name, ...told })),
      passedOver: async (all) => {
        for (const passed of all) {
          await keepPassedOver(queryable, this.name.reader, passed);
          const { id, type, key, sequence } = passed.event;
          whenKept(() => this.telemetry.passedOver({ ...this.name, id, type, key, sequence, had: passed.had }));
        }
      },
    };
  }

  tellParked(event: Delivered, error: unknown): void {
    this.telemetry.keyParked({ ...this.name, type: event.type, error });
    if (this.parkingRule(event, error).dead) this.telemetry.keyDead({ ...this.name, type: event.type, error });
  }

  /** Tries the parked keys whose next attempt is due. `apply` applies one event and tells whether its key is free with it. */
  protected async retryDueKeys(signal: AbortSignal, apply: (attempt: Attempt) => Promise<boolean>): Promise<void> {
    for (const due of await dueKeys(this.database, this.name, retryLimit)) {
      if (!signal.aborted) await this.#retryKey(due, signal, apply);
    }
  }

  /** Applies a parked key's events one by one until one fails or none is left. */
  async #retryKey(key: KeyName, signal: AbortSignal, apply: (attempt: Attempt) => Promise<boolean>): Promise<void> {
    while (!signal.aborted) {
      const attempt = await beginAttempt(this.database, this.name, key, this.#options.leaseMs);
      if (!attempt) return;
      const ended = new AbortController();
      const held = this.#holdWhileUnderWay(attempt, ended.signal);
      try {
        // The attempts before were begun and never ended: whoever tried was killed.
        if (attempt.number > this.retry.attempts) throw new PoisonError();
        if (!(await apply(attempt))) continue;
        this.telemetry.keyRecovered(this.name);
        return;
      } catch (error) {
        await this.#endAttempt(attempt, error, signal);
        return;
      } finally {
        ended.abort();
        await held;
      }
    }
  }

  /** Another process takes an attempt for one that its process did not live to end once it has not been held for a lease. */
  async #holdWhileUnderWay(attempt: Attempt, ended: AbortSignal): Promise<void> {
    const { leaseMs } = this.#options;
    for (;;) {
      await pause(leaseMs / 3, ended);
      if (ended.aborted) return;
      // A database that does not answer is told of where the attempt's own statements go.
      await holdAttempt(this.database, this.name, attempt, leaseMs).catch(() => undefined);
    }
  }

  async #endAttempt(attempt: Attempt, thrown: unknown, signal: AbortSignal): Promise<void> {
    const { event } = attempt;
    const isOfMachine = isFaultOfMachine(thrown);
    if (isOfMachine || signal.aborted) {
      // Where the database is away the attempt stays counted: a key that is given up too early can be redriven.
      await takeBackAttempt(this.database, this.name, attempt).catch(() => undefined);
      // What fails while the feed stops may fail for that. It must not end otherwise than in good order: by a lease that was
      // not given back the next owner counts a death.
      if (isOfMachine) throw thrown;
      return;
    }
    const error = this.faultOf(event, thrown);
    const state = await failAttempt(this.database, this.name, attempt, error, this.parkingRule(event, error));
    if (state === "dead") this.telemetry.keyDead({ ...this.name, type: event.type, error });
  }
}

/** An event whose data are not what its type says. */
class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/** An event that lies under another key than its data name. */
class MisplacedError extends Error {
  override readonly name = "MisplacedError";
}

/** An event that ended the processes that tried it. */
export class PoisonError extends Error {
  override readonly name = "PoisonError";
  constructor() {
    super(`${endsOfOwners} processes in a row ended while they tried this event.`);
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
