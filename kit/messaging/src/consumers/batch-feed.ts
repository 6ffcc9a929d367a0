import type { Transaction } from "@onsale/postgres";
import type { Delivered } from "../events/event.ts";
import type { Chunk, Cursor, LogReader, ReadEvent } from "../log.ts";
import type { BasePorts, BatchConsumer } from "./consumer.ts";
import { Feed, type FeedOptions, isFaultOfMachine, PoisonError } from "./feed.ts";
import { claimFresh, inboxKey, unseen } from "./inbox.ts";
import { isParked, lockAttempt, lockParked, park, unparkEvent, waitBehind } from "./parking.ts";
import type { Progress } from "./progress.ts";

/** Events of one transaction at most. Larger batches gain little and hold row locks longer. */
const batchLimit = 1_000;

/**
 * One lane of one source for all batch consumers of a service, in one ordered stream: claim, decide, write, publish, move
 * the cursor, commit.
 */
export class BatchFeed<Ports extends BasePorts> extends Feed {
  readonly #consumers: readonly BatchConsumer<Ports>[];
  readonly #ports: Ports;
  readonly #byType: ReadonlyMap<string, readonly BatchConsumer<Ports>[]>;
  #nextRedriveAt = 0;

  constructor(options: FeedOptions, consumers: readonly BatchConsumer<Ports>[], ports: Ports) {
    super(options, consumers);
    this.#consumers = consumers;
    this.#ports = ports;
    this.#byType = groupByType(consumers);
  }

  protected override async serve(progress: Progress, reader: LogReader, signal: AbortSignal): Promise<void> {
    const ahead = new ReadingAhead(reader);
    try {
      await this.#serve(progress, reader, ahead, signal);
    } finally {
      await ahead.end();
    }
  }

  async #serve(progress: Progress, reader: LogReader, ahead: ReadingAhead, signal: AbortSignal): Promise<void> {
    let cursor = progress.saved;
    // What the last owner had under way when it was killed: one by one, so that of a poison event's neighbours none is
    // held up and the event itself is found.
    let suspects = progress.uncleanTakes > 0 ? batchLimit : 0;
    let poison = this.isPoison(progress);
    while (!signal.aborted) {
      await progress.reportNowAndThen();
      await this.#redriveWhenDue(signal);
      const limit = await this.gate.turn(this.name.lane, batchLimit, signal);
      const read = await this.gate.read(this.name.lane, () =>
        suspects > 0 || poison ? reader.read(cursor, 1) : ahead.read(cursor, limit),
      );
      const chunk = await this.withoutMisplaced(read);
      cursor = chunk.after;
      suspects = chunk.drained ? 0 : suspects - chunk.events.length;
      const [first] = chunk.events;
      if (!first) {
        await this.rest(progress, reader, chunk, signal);
        continue;
      }
      if (!chunk.drained && suspects <= 0) ahead.begin(cursor);
      if (!poison || !(await this.#parkPoison(progress, first.event, chunk)))
        await this.gate.run(this.name.lane, chunk.events.length, () => this.#apply(progress, chunk.events, chunk));
      poison = false;
      if (chunk.watermark !== undefined) this.reached(chunk.watermark);
    }
  }

  /** Applies events in one transaction; when they fail for a fault of their own, in halves, until the culprit stands alone. */
  async #apply(progress: Progress, events: readonly ReadEvent[], end: BatchEnd): Promise<void> {
    const startedAt = performance.now();
    const fetchedAt = Date.now();
    const delivered = events.map(({ event }) => event);
    try {
      await this.database.transaction(async (tx) => {
        const [now, parked, fresh] = await Promise.all([
          progress.move(tx, end.after, end.watermark),
          lockParked(tx, this.name.reader, delivered),
          claimFresh(tx, this.name.reader, delivered, this.findingsIn(tx)),
        ]);
        if (parked.size > 0)
          await waitBehind(
            tx,
            this.name.reader,
            fresh.filter((event) => isParked(parked, event)),
          );
        await this.#handle(tx, parked.size > 0 ? fresh.filter((event) => !isParked(parked, event)) : fresh, now);
      });
    } catch (error) {
      if (isFaultOfMachine(error)) throw error;
      await this.#divide(progress, events, end, error);
      return;
    }
    this.tellApplied(events, { milliseconds: performance.now() - startedAt, fetchedAt });
  }

  async #divide(progress: Progress, events: readonly ReadEvent[], end: BatchEnd, error: unknown): Promise<void> {
    const [first] = events;
    if (!first) throw error;
    if (events.length === 1) {
      await this.#park(progress, first.event, end, error);
      return;
    }
    const [early, late] = [events.slice(0, Math.ceil(events.length / 2)), events.slice(Math.ceil(events.length / 2))];
    await this.#apply(progress, early, { after: early.at(-1)?.after ?? end.after });
    await this.#apply(progress, late, end);
  }

  /** Sets an event aside untried. False when no handler would have had it, so that it can't have ended anybody. */
  async #parkPoison(progress: Progress, event: Delivered, end: BatchEnd): Promise<boolean> {
    const harmless = await this.database.transaction(async (tx) => {
      const [parked, fresh] = await Promise.all([
        lockParked(tx, this.name.reader, [event]),
        unseen(tx, this.name.reader, [event]),
      ]);
      return fresh.length === 0 || parked.size > 0;
    });
    if (!harmless) await this.#park(progress, event, end, new PoisonError());
    return !harmless;
  }

  async #park(progress: Progress, event: Delivered, end: BatchEnd, thrown: unknown): Promise<void> {
    const error = this.faultOf(event, thrown);
    await this.database.transaction(async (tx) => {
      await progress.move(tx, end.after, end.watermark);
      await claimFresh(tx, this.name.reader, [event], this.findingsIn(tx));
      await park(tx, this.name, event, error, this.parkingRule(event, error));
    });
    this.tellParked(event, error);
  }

  /**
   * Gives events to their handlers, a handler as many at once as it can have: events of one key stay in order across
   * handlers, so an event goes to a later round than the one before it of its key when that has another handler.
   */
  async #handle(tx: Transaction, events: readonly Delivered[], now: string): Promise<void> {
    const ports = { ...this.#ports, clock: { now: () => now } };
    for (const round of roundsOf(events, this.#byType)) {
      for (const consumer of this.#consumers) {
        const own = round.get(consumer);
        if (own) await consumer.do(tx, own, ports);
      }
    }
  }

  async #redriveWhenDue(signal: AbortSignal): Promise<void> {
    if (performance.now() < this.#nextRedriveAt) return;
    this.#nextRedriveAt = performance.now() + this.redriveEveryMs;
    await this.retryDueKeys(signal, (attempt) =>
      this.database.transaction(async (tx) => {
        await lockAttempt(tx, this.name, attempt);
        await this.#handle(tx, [attempt.event], attempt.now);
        return await unparkEvent(tx, this.name, attempt);
      }),
    );
  }
}

/**
 * Reads the next events while those before them are applied, so that neither this process nor the server waits for the
 * other: without it they took turns. One chunk ahead at most; where applying fails it is dropped, and read again.
 */
class ReadingAhead {
  readonly #reader: LogReader;
  #coming: Promise<Chunk> | undefined;
  /** What of the chunk that was read last is still to be given. */
  #rest: Chunk | undefined;

  constructor(reader: LogReader) {
    this.#reader = reader;
  }

  /** Begins to read on behind what was given last, if that was the end of what is read. */
  begin(cursor: Cursor): void {
    if (this.#rest) return;
    this.#coming = this.#reader.read(cursor, batchLimit);
    // Whoever asks for it hears of a failure; if nobody does, the feed has ended for another reason.
    this.#coming.catch(() => undefined);
  }

  /** The next events, `limit` at most; more may be read, for a small batch costs its reader as much as a large one. */
  async read(cursor: Cursor, limit: number): Promise<Chunk> {
    const chunk = this.#rest ?? (await (this.#coming ?? this.#reader.read(cursor, batchLimit)));
    this.#coming = undefined;
    this.#rest = undefined;
    const events = chunk.events.slice(0, limit);
    const last = events.at(-1);
    if (last === undefined || events.length === chunk.events.length) return chunk;
    this.#rest = { ...chunk, events: chunk.events.slice(limit) };
    return { events, after: last.after, drained: false };
  }

  /** A reader is not closed while it reads. */
  async end(): Promise<void> {
    await this.#coming?.catch(() => undefined);
  }
}

function groupByType<C extends { on: readonly { type: string }[] }>(
  consumers: readonly C[],
): ReadonlyMap<string, readonly C[]> {
  const types = new Set(consumers.flatMap(({ on }) => on).map(({ type }) => type));
  // One list for all types that the same consumers hear, so that two lists are the same when they are one.
  const lists = new Map<string, readonly C[]>();
  const byType = new Map<string, readonly C[]>();
  for (const type of types) {
    const own = consumers.filter(({ on }) => on.some((definition) => definition.type === type));
    const name = own.map((consumer) => consumers.indexOf(consumer)).join();
    lists.set(name, lists.get(name) ?? own);
    byType.set(type, lists.get(name) ?? own);
  }
  return byType;
}

/** Where a batch ends: what the cursor becomes with it. */
type BatchEnd = Pick<Chunk, "after" | "watermark">;

/** Events by the handler that is to have them. */
type Round<C> = ReadonlyMap<C, readonly Delivered[]>;

function roundsOf<C>(events: readonly Delivered[], byType: ReadonlyMap<string, readonly C[]>): Round<C>[] {
  const [first] = events;
  const whole = first && byType.get(first.type);
  // Often one handler has the whole batch.
  if (whole && events.every(({ type }) => byType.get(type) === whole))
    return [new Map(whole.map((consumer) => [consumer, events]))];
  const rounds: Map<C, Delivered[]>[] = [];
  const lastOfKey = new Map<string, { round: number; consumers: readonly C[] }>();
  for (const event of events) {
    const consumers = byType.get(event.type) ?? nobody;
    const key = inboxKey(event);
    const last = lastOfKey.get(key);
    const round = last === undefined ? 0 : last.consumers === consumers ? last.round : last.round + 1;
    lastOfKey.set(key, { round, consumers });
    rounds[round] ??= new Map();
    for (const consumer of consumers) addTo(rounds[round], consumer, event);
  }
  return rounds;
}

const nobody: readonly never[] = [];

function addTo<C>(round: Map<C, Delivered[]>, consumer: C, event: Delivered): void {
  const events = round.get(consumer);
  if (events) events.push(event);
  else round.set(consumer, [event]);
}
