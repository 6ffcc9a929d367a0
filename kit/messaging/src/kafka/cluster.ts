import { setTimeout as sleep } from "node:timers/promises";
import { Admin, Consumer, findErrorBy, offsetForLeaderEpochV4, Producer, stringSerializers } from "@platformatic/kafka";
import type { Lane } from "../events/event.ts";
import { maximumPayloadBytes } from "../outbox/publish.ts";

export interface KafkaClusterOptions {
  /** `host:port` of a broker, or of several with commas between. */
  readonly bootstrap: string;
  /** Stands before the name of every topic and consumer group. Default `onsale.`. */
  readonly prefix?: string;
}

/** A topic as the brokers describe it. */
export interface Topic {
  readonly name: string;
  readonly clusterId: string;
  readonly topicId: string;
  /** By partition: the node that leads it, and since which epoch. */
  readonly leaders: readonly { readonly node: number; readonly epoch: number }[];
}

/** What can't be healed by trying again: a person has to decide. */
export class KafkaTopicError extends Error {
  override readonly name = "KafkaTopicError";
}

/** No broker answers at these addresses. */
export class KafkaUnreachableError extends Error {
  override readonly name = "KafkaUnreachableError";
  constructor(bootstrap: string, cause: unknown) {
    super(`Kafka at ${bootstrap} can't be reached: ${innermost(cause)}.`, { cause });
  }
}

/** The client wraps what the system said in words of its own, several times over. */
function innermost(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  return inner === undefined ? error.message.replace(/\.$/, "") : innermost(inner);
}

/** Longer than the outbox keeps what it relayed (a week): nobody is away longer than that and comes back without a copy. */
const retentionMs = 8 * 86_400_000;

/** Of a batch, and so of a record: the largest payload with its headers, and as much again for what a foreign producer may add. */
export const maximumMessageBytes = 2 * maximumPayloadBytes;

// A broker that answers at all does so within milliseconds; one that is frozen must not hold up a stop for long.
const patience = { connectTimeout: 3_000, requestTimeout: 5_000, timeout: 5_000 };

/** One Kafka cluster with the names and rules that topics of ours have there. Holds one connection per broker itself. */
export class KafkaCluster {
  readonly #options: { readonly bootstrapBrokers: string[] };
  readonly #prefix: string;
  readonly #admin: Admin;

  constructor({ bootstrap, prefix = "onsale." }: KafkaClusterOptions) {
    this.#options = { bootstrapBrokers: bootstrap.split(",").map((address) => address.trim()) };
    this.#prefix = prefix;
    this.#admin = new Admin({ ...this.#options, ...patience, clientId: "onsale-admin", retries: 1, retryDelay: 200 });
  }

  topicOf = (source: string, lane: Lane): string => `${this.#prefix}${source}.${lane}`;

  /** Nobody ever joins it: it only holds offsets, for the tools that read lag there. */
  groupOf = (reader: string): string => `${this.#prefix}${reader}`;

  /**
   * The id of the cluster that answers.
   * @throws {KafkaUnreachableError} when none does within `withinMs` milliseconds.
   */
  async identify(withinMs: number): Promise<string> {
    const timer = new AbortController();
    const late = sleep(withinMs, undefined, { signal: timer.signal, ref: false }).then(() => {
      throw new Error(`no answer within ${withinMs} ms`);
    });
    late.catch(() => undefined);
    try {
      const metadata = await Promise.race([this.#admin.metadata({ topics: [], forceUpdate: true }), late]);
      return metadata.id;
    } catch (error) {
      throw new KafkaUnreachableError(this.#options.bootstrapBrokers.join(","), error);
    } finally {
      timer.abort();
    }
  }

  /** Undefined when there is no such topic. Always asked anew. */
  async describe(name: string): Promise<Topic | undefined> {
    try {
      const metadata = await this.#admin.metadata({ topics: [name], forceUpdate: true, retries: 0 });
      const topic = metadata.topics.get(name);
      if (!topic) return undefined;
      const leaders = topic.partitions.map(({ leader, leaderEpoch }) => ({ node: leader, epoch: leaderEpoch }));
      return { name, clusterId: metadata.id, topicId: topic.id, leaders };
    } catch (error) {
      if (isUnknownTopic(error)) return undefined;
      throw error;
    }
  }

  /** Makes a topic. When another process is quicker, its topic is as good: look at it before you use it. */
  async make(name: string, partitions: number): Promise<void> {
    const configs = {
      "max.message.bytes": maximumMessageBytes,
      "retention.ms": retentionMs,
      // The broker's own time tells how long an event was on its way to it.
      "message.timestamp.type": "LogAppendTime",
    };
    try {
      await this.#admin.createTopics({
        // -1: as many replicas as the cluster's administrator wants.
        topics: [{ topic: name, partitions, replicas: -1 }],
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value: String(value) })),
      });
    } catch (error) {
      if (!hasCode(error, "TOPIC_ALREADY_EXISTS")) throw error;
    }
  }

  /**
   * Where each partition's epoch ends, by partition: the offset after the last record written under it; 0 when the broker
   * does not know an epoch that old or that young.
   */
  async endsOfEpochs(topic: Topic, epochs: ReadonlyMap<number, number>): Promise<ReadonlyMap<number, number>> {
    const ends = new Map<number, number>();
    for (const [node, partitions] of byLeader(topic, [...epochs.keys()])) {
      const connection = (await this.#admin.connectToBrokers([node])).get(node);
      if (!connection) throw new Error(`Kafka's node ${node} can't be reached.`);
      const asked = partitions.map((partition) => ({
        partitionIndex: partition,
        currentLeaderEpoch: -1,
        leaderEpoch: epochs.get(partition) ?? -1,
      }));
      const answer = await offsetForLeaderEpochV4.api.async(connection, -1, [{ name: topic.name, partitions: asked }]);
      for (const { partition, endOffset } of answer.topics.flatMap(({ partitions }) => partitions))
        ends.set(partition, Math.max(0, Number(endOffset)));
    }
    return ends;
  }

  /** The offsets of the first record that is kept and of the one that comes next, for one partition. */
  async bounds(name: string, partition: number): Promise<{ first: number; next: number }> {
    const [first, next] = await Promise.all([
      this.#offsetAt(name, partition, -2n),
      this.#offsetAt(name, partition, -1n),
    ]);
    return { first, next };
  }

  /** The offset of the first record of one partition that the broker took at this moment or later; undefined without one. */
  async firstSince(name: string, partition: number, milliseconds: number): Promise<number | undefined> {
    const offset = await this.#offsetAt(name, partition, BigInt(milliseconds));
    return offset < 0 ? undefined : offset;
  }

  async #offsetAt(name: string, partition: number, timestamp: bigint): Promise<number> {
    const topics = [{ name, partitions: [{ partitionIndex: partition, timestamp }] }];
    const [topic] = await this.#admin.listOffsets({ topics });
    return Number(topic?.partitions[0]?.offset ?? 0n);
  }

  /** Commits offsets for a group that has no members. */
  async commit(reader: string, name: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    const partitionOffsets = [...offsets].map(([partition, offset]) => ({ partition, offset: BigInt(offset) }));
    await this.#admin.alterConsumerGroupOffsets({
      groupId: this.groupOf(reader),
      topics: [{ name, partitionOffsets }],
    });
  }

  /**
   * A producer of its own for each relay: it keeps at most one request under way, and what it knows of sequence numbers
   * is void for all of its partitions when one of them fails.
   */
  openProducer(name: string): Producer<string, string, string, string> {
    return new Producer({
      ...this.#options,
      ...patience,
      clientId: `onsale-${name}`,
      serializers: stringSerializers,
      idempotent: true,
      // The relay itself tries for ever; here only what a moved leader or a broken connection costs.
      retries: 2,
      retryDelay: 100,
    });
  }

  /** A consumer that never joins a group: it only fetches what it is told to. */
  openConsumer(reader: string): Consumer<Buffer, Buffer, Buffer, Buffer> {
    return new Consumer({
      ...this.#options,
      ...patience,
      clientId: `onsale-${reader}`,
      groupId: this.groupOf(reader),
      autocommit: false,
      // Between its own attempts the client forgets the epochs by which a lost tail is noticed: we try again ourselves.
      retries: 0,
    });
  }

  async close(): Promise<void> {
    await this.#admin.close();
  }
}

/** Whether a request failed for this reason (a name of Kafka's protocol), on any partition. */
export const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && findErrorBy(error, "apiId", code) !== null;

const isUnknownTopic = (error: unknown): boolean =>
  hasCode(error, "UNKNOWN_TOPIC_OR_PARTITION") || (error instanceof Error && /^Unknown topic /.test(error.message));

/** Partitions by the node that leads them. */
export function byLeader({ leaders }: Topic, partitions: readonly number[]): ReadonlyMap<number, readonly number[]> {
  const groups = new Map<number, number[]>();
  for (const partition of partitions) {
    const { node } = leaders[partition] ?? { node: -1 };
    const group = groups.get(node);
    if (group) group.push(partition);
    else groups.set(node, [partition]);
  }
  return groups;
}
