import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, findErrorBy, type Producer, produceV11, Writer } from "@platformatic/kafka";
import { BrokerConnections } from "./broker-connections.ts";
import type { Topic } from "./cluster.ts";
import type { RecordBatch } from "./record-batch.ts";

/** Kafka's number of the request Produce. */
const produce = { key: 0, version: 11 } as const;
/** All replicas that are in step have what is acknowledged. */
const allReplicas = -1;
/** Milliseconds that the broker may wait for its replicas. */
const replicasWithinMs = 5_000;

/** The relay itself tries for ever; here only what a broken connection costs. */
const retries = 2;
const retryAfterMs = 100;

/** The offset of the first record of each partition's batch. */
export type Appended = ReadonlyMap<number, number>;

/**
 * Sends whole batches to the partitions of one topic as an idempotent producer: what is sent again after a connection broke is
 * there once. A request may be sent before the one before it is answered: the broker refuses what comes behind a gap, and what is
 * sent again waits for those before it. After a failure it is of no more use: the numbers of what it sent are unknown.
 */
export class BatchProducer {
  readonly #client: Producer<string, string, string, string>;
  readonly #topic: Topic;
  readonly #sequences = new Map<number, number>();
  readonly #connections: BrokerConnections;
  #identity: Promise<{ readonly producerId: bigint; readonly producerEpoch: number }> | undefined;
  /** The request sent last. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: Producer<string, string, string, string>, topic: Topic) {
    this.#client = client;
    this.#connections = new BrokerConnections(client);
    this.#topic = topic;
  }

  /** Resolves when all replicas have them. The first of all is to be waited for: it finds the way to the brokers. */
  send(batches: ReadonlyMap<number, RecordBatch>): Promise<Appended> {
    const sent = this.#send(batches, this.#last);
    this.#last = sent;
    return sent;
  }

  async #send(batches: ReadonlyMap<number, RecordBatch>, before: Promise<unknown>): Promise<Appended> {
    this.#identity ??= this.#client.initIdempotentProducer({});
    const { producerId, producerEpoch } = await this.#identity;
    const sealed = new Map<number, Buffer>();
    for (const [partition, batch] of batches) {
      const firstSequence = this.#sequences.get(partition) ?? 0;
      sealed.set(partition, batch.seal({ producerId, producerEpoch, firstSequence }, Date.now()));
      this.#sequences.set(partition, nextSequence(firstSequence, batch.count));
    }
    const nodes = Map.groupBy(sealed, ([partition]) => this.#topic.leaders[partition]?.node ?? -1);
    const answers = await Promise.all([...nodes].map(([node, own]) => this.#sendTo(node, own, before)));
    return new Map(answers.flat());
  }

  async #sendTo(
    node: number,
    batches: readonly Sealed[],
    before: Promise<unknown>,
  ): Promise<(readonly [number, number])[]> {
    for (let failures = 0; ; failures++) {
      try {
        const { responses } = await request(await this.#connections.to(node), this.#topic.name, batches);
        const partitions = responses.flatMap(({ partitionResponses }) => partitionResponses);
        return partitions.map(({ index, baseOffset }) => [index, Number(baseOffset)] as const);
      } catch (error) {
        if (failures === retries || findErrorBy(error as Error, "canRetry", true) === null) throw error;
        // Behind a request that fails for good there is a gap.
        await before;
        await sleep(retryAfterMs);
      }
    }
  }
}

type Sealed = readonly [partition: number, records: Buffer];

const request = (connection: Connection, topic: string, batches: readonly Sealed[]) =>
  new Promise<produceV11.ProduceResponse>((resolve, reject) => {
    connection.send(
      produce.key,
      produce.version,
      () => requestOf(topic, batches),
      produceV11.parseResponse,
      true,
      true,
      (error, response) => (response === undefined ? reject(error) : resolve(response)),
    );
  });

/** https://kafka.apache.org/protocol.html#The_Messages_Produce, version 11. */
const requestOf = (topic: string, batches: readonly Sealed[]): Writer =>
  Writer.create()
    .appendString(null) // no transaction of Kafka's
    .appendInt16(allReplicas)
    .appendInt32(replicasWithinMs)
    .appendArray([topic], (topics, name) => {
      topics.appendString(name).appendArray([...batches], (partitions, [partition, records]) => {
        partitions
          .appendInt32(partition)
          .appendUnsignedVarInt(records.length + 1)
          .append(records);
      });
    })
    .appendTaggedFields();

/** Sequence numbers begin anew behind the largest one of 31 bits. */
const nextSequence = (first: number, count: number): number => (first + count) % 2 ** 31;
