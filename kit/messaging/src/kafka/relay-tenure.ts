import { setImmediate as turn } from "node:timers/promises";
import type { Database } from "@onsale/postgres";
import type { Progress } from "../consumers/progress.ts";
import type { Chunk, Cursor, LogReader } from "../log.ts";
import { Doorbell } from "../outbox/doorbell.ts";
import type { FeedName } from "../telemetry.ts";
import type { Appender, Prepared } from "./appender.ts";
import type { KafkaCluster, Topic } from "./cluster.ts";
import { checkpointEveryMs, keepCheckpoint, type RelayCursor } from "./relay-cursor.ts";
import type { KafkaTelemetry } from "./telemetry.ts";

/** Events of one read at most: what a request to the broker takes. */
const readLimit = 2_000;

/**
 * Reads that lie ready, or are under way, while a request is. With one the server stood still from the end of a read until
 * the broker had answered; more would only take memory.
 */
const readsAhead = 2;

/**
 * How long the saved cursor may lag behind what was appended. After a crash so much is appended again, and dropped by the
 * consumers; to save after every request would cost a commit each.
 */
const saveEveryMs = 200;

/** Without events a watermark follows so often, and seldomer the longer it is quiet: a week of it must not fill a disk. */
const firstWatermarkMs = 1_000;
const longestWatermarkMs = 5_000;

/** How often to look whether a partition has changed its leader, and perhaps lost something by it. */
const lookAtLeadersMs = 5_000;

export interface RelayTenureOptions {
  readonly name: FeedName;
  readonly database: Database;
  readonly cluster: KafkaCluster;
  readonly telemetry: KafkaTelemetry;
  readonly progress: Progress;
  readonly reader: LogReader;
  readonly appender: Appender;
  readonly topic: Topic;
  readonly from: RelayCursor;
  /** Told of every watermark that was appended. */
  readonly reached: (watermark: string) => void;
}

/** A read under way; undefined where the one before came to the end. */
interface Read {
  readonly chunk: Promise<Chunk | undefined>;
  readonly ready: Promise<ReadyChunk | undefined>;
}

interface ReadyChunk {
  readonly chunk: Chunk;
  /** The watermark that is appended behind the events; seldomer than the log has one. */
  readonly moment: string | undefined;
  readonly prepared: Prepared;
}

/**
 * Appends an outbox to its topic, from where one owner took over until it stops. What is appended is a repetition of
 * what was, or follows it: whatever an owner that was taken over still appends, each key's events lie in their order when
 * their first occurrences are looked at, and consumers drop the others.
 */
export class RelayTenure {
  readonly #options: RelayTenureOptions;
  readonly #bell: Doorbell;
  #cursor: RelayCursor;
  /** Read and made ready while the chunk before them is being appended, each behind the one before. */
  readonly #ahead: Read[] = [];
  /** Where reading goes on when nothing was read ahead. */
  #readTo: Cursor;
  /** Of the last chunk that was appended, where the log had one. */
  #watermark: string | undefined;
  #isDirty = false;
  /** Where no save is under way, what came of the last one. */
  #saved: Promise<void> = Promise.resolve();
  #isSaving = false;
  /** Somebody waits for a watermark, or events were appended; from the write-ahead log it comes some reads later than they. */
  #isMomentWanted = false;
  #savedAt = performance.now();
  #watermarkAt = 0;
  #eventsAt = 0;
  #checkpointAt = 0;
  #lookedAt = performance.now();

  constructor(options: RelayTenureOptions) {
    this.#options = options;
    this.#cursor = options.from;
    this.#readTo = options.from.outbox;
    this.#bell = new Doorbell(options.database.home);
  }

  async run(signal: AbortSignal): Promise<void> {
    let underWay: Promise<void> = Promise.resolve();
    try {
      while (!signal.aborted) {
        await this.#options.progress.reportNowAndThen();
        const ready = await this.#next();
        const before = underWay;
        underWay = this.#append(ready);
        // Its fault is met when it is waited for.
        underWay.catch(() => undefined);
        this.#readAhead(ready);
        // While there is more, the next is sent before this is acknowledged.
        await (ready.chunk.drained ? underWay : before);
        await this.#saveWhenDue();
        await this.#lookAtLeaders();
        if (ready.chunk.drained && ready.chunk.events.length === 0) await this.#rest(signal);
      }
      await underWay;
      await this.#saved;
    } finally {
      // Nobody takes over while something is on its way.
      await Promise.allSettled([underWay, this.#saved]);
    }
    if (this.#isDirty) await this.#save(undefined);
  }

  async #rest(signal: AbortSignal): Promise<void> {
    await this.#options.reader.wait(signal);
    if (await this.#bell.wait(0, signal)) this.#isMomentWanted = true;
  }

  async #next(): Promise<ReadyChunk> {
    const ready = (await this.#ahead.shift()?.ready) ?? this.#prepare(await this.#read(this.#readTo));
    this.#readTo = ready.chunk.after;
    return ready;
  }

  /** The fault of a read is met when it is waited for. */
  #readAhead(current: ReadyChunk): void {
    if (current.chunk.drained) return;
    while (this.#ahead.length < readsAhead) {
      const ahead = this.#readBehind(
        // The request before it goes out first.
        this.#ahead.at(-1) ?? { chunk: turn().then(() => current.chunk), ready: Promise.resolve(current) },
      );
      for (const promise of [ahead.chunk, ahead.ready]) promise.catch(() => undefined);
      this.#ahead.push(ahead);
    }
  }

  #readBehind(before: Read): Read {
    const chunk = before.chunk.then((read) => (read?.drained === false ? this.#read(read.after) : undefined));
    const ready = async (): Promise<ReadyChunk | undefined> => {
      const [read] = await Promise.all([chunk, before.ready]);
      // The server is asked for the next one first: it reads that one while this one is made ready.
      await turn();
      return read && this.#prepare(read);
    };
    return { chunk, ready: ready() };
  }

  #read(cursor: Cursor): Promise<Chunk> {
    return this.#options.reader.read(cursor, readLimit);
  }

  #prepare(chunk: Chunk): ReadyChunk {
    if (chunk.events.length > 0) this.#isMomentWanted = true;
    const moment = this.#isMomentWanted || this.#isWatermarkDue() ? chunk.watermark : undefined;
    if (moment !== undefined) this.#isMomentWanted = false;
    return { chunk, moment, prepared: this.#options.appender.prepare(chunk.events, moment) };
  }

  async #append({ chunk: { events, after, watermark }, moment, prepared }: ReadyChunk): Promise<void> {
    const { appender, reached } = this.#options;
    const startedAt = performance.now();
    await appender.append(prepared);
    this.#cursor = { outbox: after, kafka: appender.written };
    this.#watermark = watermark;
    if (moment !== undefined) {
      this.#watermarkAt = performance.now();
      reached(moment);
    }
    if (events.length > 0) this.#tellAppended(events, startedAt);
    if (events.length > 0 || moment !== undefined) this.#isDirty = true;
  }

  #tellAppended(events: Chunk["events"], startedAt: number): void {
    const now = performance.now();
    this.#eventsAt = now;
    const [first] = events;
    const oldestAgeMs = first ? Date.now() - Date.parse(first.event.time) : 0;
    const { name, telemetry } = this.#options;
    telemetry.appended({ ...name, events: events.length, milliseconds: now - startedAt, oldestAgeMs });
  }

  #isWatermarkDue(): boolean {
    const now = performance.now();
    const everyMs = Math.min(longestWatermarkMs, Math.max(firstWatermarkMs, (now - this.#eventsAt) / 10));
    return now - this.#watermarkAt >= everyMs;
  }

  /** Nobody waits for the save: it takes as long as the disk does, and events that come meanwhile would wait with it. */
  async #saveWhenDue(): Promise<void> {
    if (this.#isSaving) return;
    // Its fault is met here, or at the end.
    await this.#saved;
    const laggedMs = performance.now() - this.#savedAt;
    if (!this.#options.progress.isDue && !(this.#isDirty && laggedMs >= saveEveryMs)) return;
    this.#isSaving = true;
    this.#saved = this.#save(this.#watermark).finally(() => {
      this.#isSaving = false;
    });
    this.#saved.catch(() => undefined);
  }

  async #save(watermark: string | undefined): Promise<void> {
    const { database, progress, name } = this.#options;
    const cursor = this.#cursor;
    const now = performance.now();
    const checkpoint = this.#isDirty && now - this.#checkpointAt >= checkpointEveryMs;
    // What is appended from here on is to be saved by the next one.
    this.#isDirty = false;
    await database.transaction(async (tx) => {
      await progress.move(tx, cursor, watermark);
      if (checkpoint) await keepCheckpoint(tx, name, cursor);
    });
    this.#savedAt = now;
    if (checkpoint) this.#checkpointAt = now;
  }

  /** A partition that another leader took over has perhaps lost its end: a new tenure begins with finding that out. */
  async #lookAtLeaders(): Promise<void> {
    if (performance.now() - this.#lookedAt < lookAtLeadersMs) return;
    this.#lookedAt = performance.now();
    const { cluster, topic } = this.#options;
    const now = await cluster.describe(topic.name);
    if (
      now?.topicId === topic.topicId &&
      now.leaders.every(({ epoch }, index) => epoch === topic.leaders[index]?.epoch)
    )
      return;
    await this.#saved;
    await this.#save(undefined);
    throw new LeadersChangedError(topic.name);
  }
}

/** Not a fault: the next tenure compares the topic with what was acknowledged. */
export class LeadersChangedError extends Error {
  override readonly name = "LeadersChangedError";
  constructor(topic: string) {
    super(`${topic} has other leaders than before, or was replaced.`);
  }
}
