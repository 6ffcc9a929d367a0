import type { Producer } from "@platformatic/kafka";
import { toKafkaRecord } from "../cloud-event.ts";
import type { ReadEvent } from "../log.ts";
import { slotOf } from "../slot.ts";
import { maximumMessageBytes, type Topic } from "./cluster.ts";
import { hopHeader, hopText } from "./hop-header.ts";
import { type Positions, positionIn, type TopicPositions } from "./positions.ts";
import { watermarkRecord } from "./watermark-record.ts";

/** The broker has acknowledged a record at an offset that it had acknowledged before: what was there is gone. */
export class TailLostError extends Error {
  override readonly name = "TailLostError";
  constructor(topic: string, partition: number, { expected, found }: { expected: number; found: number }) {
    super(`Partition ${partition} of ${topic} ended at ${expected} and now goes on at ${found}.`);
  }
}

/**
 * Of one partition in one request: its records travel as one batch, which the broker refuses above the topic's bound. What
 * it refused it would refuse for ever, so headers are counted, too; below the bound by what a record costs beside them.
 */
const batchBytes = 0.75 * maximumMessageBytes;

type Message = ReturnType<typeof watermarkRecord> & { readonly key?: string; readonly value?: string };

/**
 * Appends to the partitions of one relay, one request after the other: so a key's events lie in their order, whichever
 * request is repeated.
 */
export class Appender {
  readonly #producer: Producer<string, string, string, string>;
  readonly #topic: Topic;
  readonly #partitions: readonly number[];
  #ends: Positions;

  /** `ends`: how far the partitions were acknowledged. */
  constructor(
    producer: Producer<string, string, string, string>,
    { topic, partitions, ends }: { topic: Topic; partitions: readonly number[]; ends: Positions },
  ) {
    this.#producer = producer;
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
    let messages: Message[] = [];
    let bytes = new Map<number, number>();
    const relayedAt = Date.now();
    for (const event of events) {
      const message = this.#toMessage(event, relayedAt);
      const size = bytesOf(message);
      const before = bytes.get(message.partition) ?? 0;
      if (before > 0 && before + size > batchBytes) {
        await this.#send(messages);
        messages = [];
        bytes = new Map();
      }
      bytes.set(message.partition, (bytes.get(message.partition) ?? 0) + size);
      messages.push(message);
    }
    if (watermark !== undefined)
      for (const partition of this.#partitions) messages.push(watermarkRecord(this.#topic.name, partition, watermark));
    if (messages.length > 0) await this.#send(messages);
  }

  #toMessage({ event, moments }: ReadEvent, relayedAt: number): Message {
    // Named on purpose: the client's own partitioner is another one, and so is every other language's.
    const partition = slotOf(event.key, this.#topic.leaders.length);
    const record = toKafkaRecord(event);
    record.headers.set(hopHeader, hopText(moments?.visible, relayedAt));
    return { ...record, topic: this.#topic.name, partition };
  }

  async #send(messages: Message[]): Promise<void> {
    const { offsets = [] } = await this.#producer.send({ messages });
    const counts = Map.groupBy(messages, ({ partition }) => partition);
    const ends = { ...this.#ends };
    for (const { partition, offset } of offsets) {
      const before = positionIn(this.#ends, partition);
      const found = Number(offset);
      if (found < before.offset)
        throw new TailLostError(this.#topic.name, partition, { expected: before.offset, found });
      const { epoch } = this.#topic.leaders[partition] ?? before;
      ends[partition] = { offset: found + (counts.get(partition)?.length ?? 0), epoch };
    }
    this.#ends = ends;
  }
}

function bytesOf({ key = "", value = "", headers }: Message): number {
  let bytes = Buffer.byteLength(key) + Buffer.byteLength(value);
  for (const [name, content] of headers) bytes += name.length + Buffer.byteLength(content);
  return bytes;
}
