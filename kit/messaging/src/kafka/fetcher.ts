import type { Consumer } from "@platformatic/kafka";
import { pause } from "../consumers/feed.ts";
import { Signal } from "../signal.ts";
import { BrokerConnections } from "./broker-connections.ts";
import { hasCode, type KafkaCluster, KafkaTopicError, type Topic } from "./cluster.ts";
import { committedBatches } from "./committed-batches.ts";
import { type PartitionAnswer, requestFetch } from "./fetch-request.ts";
import { FetchSession } from "./fetch-session.ts";
import { FetchedPartition } from "./fetched-partition.ts";
import type { Position } from "./positions.ts";
import { receivedBatches } from "./received-batch.ts";
import type { KafkaTelemetry } from "./telemetry.ts";

/** How long a broker waits for something new. A partition that is added meanwhile waits as long. */
const waitMs = 250;
/** The same while a partition is not asked for because it is full: it must soon be asked for again. */
const shortWaitMs = 10;

const mostBytes = { bytes: 4 * 1024 * 1024, bytesPerPartition: 512 * 1024 };

const firstPauseMs = 50;
const longestPauseMs = 1_000;

/**
 * Fetches the partitions that one reader of this process owns: one connection and one request under way per broker,
 * however many partitions. It joins no group and commits nothing; who may read what is decided by leases.
 */
export class Fetcher {
  readonly #cluster: KafkaCluster;
  readonly #reader: string;
  readonly #telemetry: KafkaTelemetry;
  readonly #consumer: Consumer<Buffer, Buffer, Buffer, Buffer>;
  readonly #connections: BrokerConnections;
  readonly #partitions = new Set<FetchedPartition>();
  readonly #topics = new Map<string, Topic>();
  readonly #loops = new Map<number, Promise<void>>();
  readonly #changed = new Signal();
  readonly #closing = new AbortController();
  #lostSince: number | undefined;

  constructor(options: { cluster: KafkaCluster; reader: string; telemetry: KafkaTelemetry }) {
    this.#cluster = options.cluster;
    this.#reader = options.reader;
    this.#telemetry = options.telemetry;
    this.#consumer = options.cluster.openConsumer(options.reader);
    this.#connections = new BrokerConnections(this.#consumer);
  }

  /** Begins to fetch a partition from a place. */
  add(topic: Topic, place: { partition: number; position: Position; arrived: Signal }): FetchedPartition {
    const fetched = new FetchedPartition(
      { topic: topic.name, topicId: topic.topicId, ...place },
      { arrived: place.arrived, drained: () => this.#changed.notify() },
    );
    this.#topics.set(topic.name, topic);
    this.#partitions.add(fetched);
    this.#fetchFrom(topic);
    this.#changed.notify();
    return fetched;
  }

  remove(fetched: FetchedPartition): void {
    this.#partitions.delete(fetched);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#loops.values());
    await this.#consumer.close();
  }

  /** One loop for each broker that leads anything of the topic. */
  #fetchFrom({ leaders }: Topic): void {
    for (const { node } of leaders) if (!this.#loops.has(node)) this.#loops.set(node, this.#loop(node));
  }

  async #loop(node: number): Promise<void> {
    const { signal } = this.#closing;
    const session = new FetchSession();
    let faults = 0;
    // Partitions are added several at once: the first request asks for all of them.
    await Promise.resolve();
    while (!signal.aborted) {
      const led = [...this.#partitions].filter(({ topic, partition }) => this.#leaderOf(topic, partition) === node);
      const wanted = led.filter((partition) => !partition.isFull);
      if (wanted.length === 0) {
        await this.#changed.wait(signal);
        continue;
      }
      try {
        const bounds = { ...mostBytes, waitMs: wanted.length < led.length ? shortWaitMs : waitMs };
        const answer = await requestFetch(await this.#connections.to(node), session.step(wanted), bounds);
        session.answered(answer.sessionId);
        for (const partition of answer.partitions) this.#accept(wanted, partition);
        faults = 0;
        this.#tellBack();
      } catch (error) {
        session.forget();
        if (signal.aborted) return;
        const healed = await this.#heal(wanted, error).catch(() => false);
        if (!healed) await pause(this.#tellLost(error, faults++), signal);
      }
    }
  }

  #leaderOf(topic: string, partition: number): number | undefined {
    return this.#topics.get(topic)?.leaders[partition]?.node;
  }

  #accept(asked: readonly FetchedPartition[], answer: PartitionAnswer): void {
    const { topicId, partition, divergingEpoch, aborted, records } = answer;
    const fetched = asked.find((it) => it.topicId === topicId && it.partition === partition);
    if (!fetched || !this.#partitions.has(fetched)) return;
    if (divergingEpoch && divergingEpoch.epoch >= 0) {
      this.#setBack(fetched, { offset: divergingEpoch.endOffset, epoch: divergingEpoch.epoch });
    } else {
      const batches = receivedBatches(records);
      fetched.add(batches, committedBatches(batches, aborted));
    }
  }

  /** What a refused fetch may come from: leaders that moved, topics that were replaced, places that are gone. */
  async #heal(asked: readonly FetchedPartition[], error: unknown): Promise<boolean> {
    // The addresses of brokers may be others, too.
    this.#consumer.clearMetadata();
    const outOfRange = hasCode(error, "OFFSET_OUT_OF_RANGE");
    for (const name of new Set(asked.map(({ topic }) => topic))) {
      const topic = await this.#cluster.describe(name);
      // Deleted: whoever owns the topic will make it again.
      if (!topic) continue;
      this.#topics.set(name, topic);
      this.#fetchFrom(topic);
      for (const fetched of asked.filter((it) => it.topic === name)) {
        if (fetched.topicId !== topic.topicId)
          fetched.fail(new KafkaTopicError(`${name} was replaced by another topic.`));
        else if (outOfRange) await this.#bringIntoRange(fetched);
      }
    }
    this.#changed.notify();
    return outOfRange;
  }

  async #bringIntoRange(fetched: FetchedPartition): Promise<void> {
    const { first, next } = await this.#cluster.bounds(fetched.topic, fetched.partition);
    const { offset } = fetched.position;
    if (offset > next) this.#setBack(fetched, { offset: next, epoch: -1 });
    else if (offset < first)
      fetched.fail(
        new KafkaTopicError(
          `${this.#reader} was away for longer than ${fetched.topic} keeps its records: it stands at ${offset} of partition ${fetched.partition}, which begins at ${first}.`,
        ),
      );
  }

  #setBack(fetched: FetchedPartition, end: Position): void {
    const { topic, partition, position } = fetched;
    const { offset } = fetched.setBack(end);
    this.#telemetry.readerSetBack({ reader: this.#reader, topic, partition, from: position.offset, to: offset });
  }

  /** Told once per loss, at its second fault: the first may be a leader that moved. Gives the milliseconds to wait. */
  #tellLost(error: unknown, faults: number): number {
    if (faults > 0 && this.#lostSince === undefined) {
      this.#lostSince = performance.now();
      this.#telemetry.brokerLost({ reader: this.#reader, error });
    }
    return Math.min(longestPauseMs, firstPauseMs * 2 ** faults);
  }

  #tellBack(): void {
    if (this.#lostSince === undefined) return;
    this.#telemetry.brokerBack({ reader: this.#reader, afterMs: performance.now() - this.#lostSince });
    this.#lostSince = undefined;
  }
}
