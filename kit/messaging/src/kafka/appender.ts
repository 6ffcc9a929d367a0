import type { Producer } from "@platformatic/kafka";
import { toKafkaRecord } from "../cloud-event.ts";
import type { ReadEvent } from "../log.ts";
import { slotOf } from "../slot.ts";
import { BatchProducer } from "./batch-producer.ts";
import { maximumMessageBytes, type Topic } from "./cluster.ts";
import { hopHeader, hopText } from "./hop-header.ts";
import { type Positions, positionIn, type TopicPositions } from "./positions.ts";
import { type KafkaRecordParts, RecordBatch } from "./record-batch.ts";
import { watermarkRecord } from "./watermark-record.ts";

/** The broker has acknowledged a record at an offset that it had acknowledged before: what was there is gone. */
export class TailLostError extends Error {
  override readonly name = "TailLostError";
  constructor(topic: string, partition: number, { expected, found }: { expected: number; found: number }) {
    super(`Partition ${partition} of ${topic} ended at ${expected} and now goes on at ${found}.`);
  }
}

/**
 * The broker refuses a batch above its topic's bound, and what it refused it would refuse for ever. Below the bound by more
 * than a watermark takes.
 */
const batchBytes = maximumMessageBytes - 1_024;

/**
 * Appends to the partitions of one relay, one request after the other: so a key's events lie in their order, whichever
 * request is repeated.
 */
export class Appender {
  readonly #producer: BatchProducer;
  readonly #topic: Topic;
  readonly #partitions: readonly number[];
  #ends: Positions;

  /** `ends`: how far the partitions were acknowledged. */
  constructor(
    client: Producer<string, string, string, string>,
    { topic, partitions, ends }: { topic: Topic; partitions: readonly number[]; ends: Positions },
  ) {
    this.#producer = new BatchProducer(client, topic);
    this.#topic = topic;
    this.#partitions = partitions;
    this.#ends = ends;
  }

  /** How far the topic is acknowledged. */
  get written(): TopicPositions {
    return { cluster: this.#topic.clusterId, topic: this.#topic.topicId, at: this.#ends };
  }

  /**
   * Appends events in their order and then, where one is given, the watermark to every partition; resolves when all
   * replicas have them.
   * @throws {TailLostError}
   */
  async append(events: readonly ReadEvent[], watermark: string | undefined): Promise<void> {
    let batches = new Map<number, RecordBatch>();
    const relayedAt = Date.now();
    for (const event of events) {
      // Named on purpose: the client's own partitioner is another one, and so is every other language's.
      const partition = slotOf(event.event.key, this.#topic.leaders.length);
      const record = toRecord(event, relayedAt);
      if (put(batches, partition, record)) continue;
      await this.#send(batches);
      batches = new Map();
      put(batches, partition, record);
    }
    if (watermark !== undefined)
      for (const partition of this.#partitions) batchOf(batches, partition).append(watermarkRecord(watermark));
    if (batches.size > 0) await this.#send(batches);
  }

  async #send(batches: ReadonlyMap<number, RecordBatch>): Promise<void> {
    const ends = { ...this.#ends };
    for (const [partition, found] of await this.#producer.send(batches)) {
      const before = positionIn(this.#ends, partition);
      if (found < before.offset)
        throw new TailLostError(this.#topic.name, partition, { expected: before.offset, found });
      const { epoch } = this.#topic.leaders[partition] ?? before;
      ends[partition] = { offset: found + (batches.get(partition)?.count ?? 0), epoch };
    }
    this.#ends = ends;
  }
}

function toRecord({ event, moments }: ReadEvent, relayedAt: number): KafkaRecordParts {
  const record = toKafkaRecord(event);
  record.headers.set(hopHeader, hopText(moments?.visible, relayedAt));
  return record;
}

/** False when the record does not fit into its partition's batch any more. One alone always does. */
function put(batches: Map<number, RecordBatch>, partition: number, record: KafkaRecordParts): boolean {
  const batch = batchOf(batches, partition);
  const { size } = batch;
  batch.append(record);
  if (batch.count === 1 || batch.size <= batchBytes) return true;
  batch.takeBack(size);
  return false;
}

function batchOf(batches: Map<number, RecordBatch>, partition: number): RecordBatch {
  const known = batches.get(partition);
  if (known) return known;
  const batch = new RecordBatch();
  batches.set(partition, batch);
  return batch;
}
