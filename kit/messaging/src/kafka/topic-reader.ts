import type { Database } from "@onsale/postgres";
import { type Foreign, isForeign } from "../events/cloud-event.ts";
import type { Delivered } from "../events/event.ts";
import type { HopMoments } from "../hops.ts";
import type { Chunk, LogReader, ReadEvent } from "../log.ts";
import { Signal } from "../signal.ts";
import type { FeedName } from "../telemetry.ts";
import { type KafkaCluster, KafkaTopicError, type Topic } from "./cluster.ts";
import type { FetchedPartition } from "./fetched-partition.ts";
import type { Fetcher } from "./fetcher.ts";
import { type ForeignLetter, keepForeignRecords, placeOf } from "./foreign-letters.ts";
import { hopHeader, hopsIn } from "./hop-header.ts";
import { isOwn, type KafkaCursor, type Position, positionIn, type TopicPositions } from "./positions.ts";
import { type FetchedRecord, headerOf } from "./received-batch.ts";
import type { KafkaTelemetry } from "./telemetry.ts";
import { TopicEvents } from "./topic-events.ts";
import { watermarkIn } from "./watermark-record.ts";

export interface TopicReaderOptions {
  readonly feed: FeedName;
  readonly database: Database;
  readonly cluster: KafkaCluster;
  readonly fetcher: Fetcher;
  readonly slots: number;
  /** Of the types that are heard, which field of their data is the key. Absent: every type is heard. */
  readonly keyFields: ReadonlyMap<string, string> | undefined;
  readonly knows: (type: string) => boolean;
  readonly writtenBy: "relay" | "anybody";
  readonly telemetry: KafkaTelemetry;
}

/** Whoever waits looks up as often: it has a lease to keep and parked keys to try again. */
const longestWaitMs = 100;

/** Between looks for a topic that its owner has not made yet; within a third of a lease. */
const waitForTopicMs = 500;

/** Reads the partitions of one topic that belong to one slot. */
export class TopicReader implements LogReader {
  readonly #options: TopicReaderOptions;
  readonly #name: string;
  readonly #arrived = new Signal();
  #topic: Topic | undefined;
  #events: TopicEvents | undefined;
  #partitions: readonly FetchedPartition[] = [];
  /** The moment of the last watermark read, by partition. */
  readonly #watermarks = new Map<number, string>();
  /** Which partition is taken from first; another one each time, so that none starves. */
  #first = 0;

  constructor(options: TopicReaderOptions) {
    const { feed, cluster } = options;
    this.#options = options;
    this.#name = cluster.topicOf(feed.source, feed.lane);
  }

  async read(cursor: KafkaCursor, limit: number): Promise<Chunk<KafkaCursor>> {
    const topic = this.#topic ?? (await this.#begin(cursor));
    // Its owner has not started yet.
    if (!topic) return { events: [], after: cursor, drained: true };
    // Whoever reads right after a take-over has to know whether anything is there.
    if (!this.#partitions.every((partition) => partition.isDrained || !partition.isEmpty)) await this.#arrival();
    const { events, foreign } = this.#take(topic, limit);
    await this.#setAside(foreign);
    const watermark = this.#watermark();
    return {
      events,
      after: this.#place(topic),
      ...(watermark !== undefined && { watermark }),
      drained: this.#partitions.every(({ isDrained }) => isDrained),
    };
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (this.#partitions.some(({ isEmpty }) => !isEmpty)) return;
    await this.#arrival(signal);
  }

  async #arrival(signal?: AbortSignal): Promise<void> {
    const enough = AbortSignal.timeout(this.#topic ? longestWaitMs : waitForTopicMs);
    await this.#arrived.wait(signal ? AbortSignal.any([signal, enough]) : enough);
  }

  async close(): Promise<void> {
    for (const partition of this.#partitions) this.#options.fetcher.remove(partition);
  }

  async #begin(cursor: KafkaCursor): Promise<Topic | undefined> {
    const { cluster, fetcher, feed, slots, keyFields, knows, writtenBy } = this.#options;
    const topic = await cluster.describe(this.#name);
    if (!topic) return undefined;
    this.#refuse(topic, cursor);
    const part = { slot: feed.slot, slots };
    const own = topic.leaders.map((_, partition) => partition).filter((partition) => isOwn(partition, part));
    const at = this.#stillIn(topic, cursor);
    this.#partitions = own.map((partition) =>
      fetcher.add(topic, { partition, position: positionIn(at, partition), arrived: this.#arrived }),
    );
    const partitions = writtenBy === "relay" ? topic.leaders.length : undefined;
    this.#events = new TopicEvents({ stream: feed, keyFields, knows, partitions });
    this.#topic = topic;
    return topic;
  }

  #refuse({ name, clusterId, leaders }: Topic, { cluster }: KafkaCursor): void {
    const { feed, slots } = this.#options;
    if (cluster !== undefined && cluster !== clusterId)
      throw new KafkaTopicError(
        `${feed.reader} began to read ${name} on the Kafka cluster ${cluster} and finds the cluster ${clusterId} at that address.`,
      );
    if (leaders.length % slots !== 0)
      throw new KafkaTopicError(`${name} has ${leaders.length} partitions, which ${slots} slots can't share evenly.`);
  }

  /** The places of the cursor; none when the topic was replaced: whoever owns it then writes everything again. */
  #stillIn({ name, topicId }: Topic, { topic, at }: KafkaCursor): TopicPositions["at"] {
    if (topic === undefined || topic === topicId) return at ?? {};
    const { telemetry, feed } = this.#options;
    for (const [partition, { offset }] of Object.entries(at ?? {}))
      telemetry.readerSetBack({ reader: feed.reader, topic: name, partition: Number(partition), from: offset, to: 0 });
    return {};
  }

  #take(topic: Topic, limit: number) {
    const events: ReadEvent<KafkaCursor>[] = [];
    const foreign: ForeignLetter[] = [];
    const passed = new PassedPlaces(this.#place(topic));
    const inTurn = this.#inTurn(limit);
    for (let share = shareOf(limit, inTurn); share > 0; share = shareOf(limit - events.length, inTurn)) {
      for (const fetched of inTurn) {
        const { partition } = fetched;
        for (const found of fetched.take(Math.min(share, limit - events.length))) {
          const step = passed.add(partition, found);
          const event = this.#understand(partition, found);
          if (event === undefined) continue;
          if (isForeign(event)) foreign.push({ ...event, topic: topic.name, partition, found });
          else events.push(new FetchedEvent(event, found, { passed, step }));
        }
      }
    }
    return { events, foreign };
  }

  #inTurn(limit: number): readonly FetchedPartition[] {
    // One by one it is tried what killed the owner before: each new owner has to come upon it at once, not by turns.
    if (limit === 1) return this.#partitions;
    this.#first = (this.#first + 1) % Math.max(1, this.#partitions.length);
    return [...this.#partitions.slice(this.#first), ...this.#partitions.slice(0, this.#first)];
  }

  /** Undefined for what is not for this reader. */
  #understand(partition: number, record: FetchedRecord): Delivered | Foreign | undefined {
    const moment = watermarkIn(record);
    if (moment !== undefined) {
      this.#watermarks.set(partition, moment);
      return undefined;
    }
    return this.#events?.understand(record, partition);
  }

  async #setAside(letters: readonly ForeignLetter[]): Promise<void> {
    const { database, feed, telemetry } = this.#options;
    await keepForeignRecords(database, feed, letters);
    for (const letter of letters)
      telemetry.foreignRecord({ ...feed, topic: letter.topic, cause: letter.foreign, where: placeOf(letter) });
  }

  #place({ clusterId, topicId }: Topic): KafkaCursor & TopicPositions {
    return {
      cluster: clusterId,
      topic: topicId,
      at: Object.fromEntries(this.#partitions.map(({ partition, takenTo }) => [partition, takenTo])),
    };
  }

  /** What holds for every partition. Unknown until each has told its first since this reader began. */
  #watermark(): string | undefined {
    const moments = this.#partitions.flatMap(({ partition }) => this.#watermarks.get(partition) ?? []);
    return moments.length === this.#partitions.length ? moments.sort()[0] : undefined;
  }
}

/**
 * What is taken of each partition, rather than all of one before the next: what a chunk holds then is of many keys, and calls
 * wait for those before them of their key. 0 when there is nothing to take.
 */
function shareOf(limit: number, partitions: readonly FetchedPartition[]): number {
  const filled = partitions.filter(({ isEmpty }) => !isEmpty).length;
  return filled === 0 ? 0 : Math.ceil(limit / filled);
}

/**
 * An event of a topic. Where it lies and when it passed is asked for of a few events only; and the record is let go, since
 * what lives as long as its event is what the garbage collector has to copy.
 */
class FetchedEvent implements ReadEvent<KafkaCursor> {
  readonly event: Delivered;
  readonly #hops: string | undefined;
  readonly #appendedAt: number;
  readonly #fetchedAt: number;
  readonly #passed: PassedPlaces;
  readonly #step: number;

  constructor(event: Delivered, found: FetchedRecord, place: { passed: PassedPlaces; step: number }) {
    this.event = event;
    this.#hops = headerOf(found.headers, hopHeader);
    this.#appendedAt = found.appendedAt;
    this.#fetchedAt = found.fetchedAt;
    this.#passed = place.passed;
    this.#step = place.step;
  }

  get after(): KafkaCursor {
    return this.#passed.behind(this.#step);
  }

  get moments(): HopMoments {
    return { ...hopsIn(this.#hops), appended: this.#appendedAt, fetched: this.#fetchedAt };
  }
}

/** The places behind the records of one chunk. All places of the topic for each of them would be most of a reader's work. */
class PassedPlaces {
  readonly #before: KafkaCursor & TopicPositions;
  // Of each step; three lists of numbers take a fraction of the room of as many places.
  readonly #partitions: number[] = [];
  readonly #offsets: number[] = [];
  readonly #epochs: number[] = [];

  constructor(before: KafkaCursor & TopicPositions) {
    this.#before = before;
  }

  /** Gives the number of the step. */
  add(partition: number, { offset, epoch }: FetchedRecord): number {
    this.#offsets.push(offset + 1);
    this.#epochs.push(epoch);
    return this.#partitions.push(partition);
  }

  /** Where the reader stands behind so many steps. */
  behind(steps: number): KafkaCursor {
    const at: Record<string, Position> = { ...this.#before.at };
    for (let step = 0; step < steps; step++)
      at[this.#partitions[step] ?? 0] = { offset: this.#offsets[step] ?? 0, epoch: this.#epochs[step] ?? -1 };
    return { ...this.#before, at };
  }
}
