import type { Producer } from "@platformatic/kafka";
import { toKafkaRecord } from "../cloud-event.ts";
import type { ReadEvent } from "../log.ts";
import { slotOf } from "../slot.ts";
import type { Topic } from "./cluster.ts";
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

/** Well below the broker's bound on a batch (1 MB), wherever the events of a request go. */
const requestBytes = 512 * 1024;

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
    let bytes = 0;
    const relayedAt = Date.now();
    for (const event of events) {
      const message = this.#toMessage(event, relayedAt);
      bytes += message.value?.length ?? 0;
      if (bytes > requestBytes && messages.length > 0) {
        await this.#send(messages);
        messages = [];
        bytes = message.value?.length ?? 0;
      }
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
