import { requiresKafka, testKafka, waitFor } from "@onsale/testing";
import { Producer, stringSerializers } from "@platformatic/kafka";
import { describe, expect, onTestFinished, test } from "vitest";
import type { FetchedPartition } from "../../src/kafka/fetched-partition.ts";
import { Fetcher } from "../../src/kafka/fetcher.ts";
import { KafkaCluster } from "../../src/kafka/index.ts";
import { silentKafkaTelemetry } from "../../src/kafka/telemetry.ts";
import { Signal } from "../../src/signal.ts";

const compressions = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

describe.skipIf(!(await requiresKafka()))("what other producers write", () => {
  test("is read however it is compressed, and whatever partition has grown", async () => {
    const { topic, fetched, produce } = await open({ partitions: 3 });
    for (const compression of compressions)
      for (let partition = 0; partition < 3; partition++)
        await produce({ topic: topic.name, partition, key: "k", value: `${compression} ${partition}` }, compression);
    for (const partition of fetched)
      expect(await valuesOf(partition, 5)).toEqual(compressions.map((name) => `${name} ${partition.partition}`));
  });

  test("in a transaction is read once it is committed, and not when it is taken back", async () => {
    const { topic, fetched, transact } = await open({ partitions: 1 });
    await transact(topic.name, "taken back", "abort");
    await transact(topic.name, "kept", "commit");
    const [partition] = fetched;
    expect(partition && (await valuesOf(partition, 1))).toEqual(["kept"]);
    // What was passed over is not fetched again: two records and two marks.
    await waitFor(() => partition?.takenTo.offset === 4);
  });

  test("is fetched from a place in the middle of a batch, as from any other", async () => {
    const { cluster, topic, fetcher, fetched, produce } = await open({ partitions: 1 });
    const messages = ["one", "two", "three"].map((value) => ({ topic: topic.name, partition: 0, key: "k", value }));
    await produce(messages, "none");
    expect((await cluster.bounds(topic.name, 0)).next).toBe(3);
    for (const partition of fetched) fetcher.remove(partition);
    const place = { partition: 0, position: { offset: 1, epoch: -1 }, arrived: new Signal() };
    expect(await valuesOf(fetcher.add(topic, place), 2)).toEqual(["two", "three"]);
  });
});

async function open({ partitions }: { partitions: number }) {
  const kafka = await testKafka();
  const cluster = new KafkaCluster(kafka);
  const name = cluster.topicOf("foreign", "online");
  await cluster.make(name, partitions);
  const topic = await waitFor(() => cluster.describe(name));
  const fetcher = new Fetcher({ cluster, reader: "test", telemetry: silentKafkaTelemetry });
  onTestFinished(async () => {
    await fetcher.close();
    await cluster.close();
  });
  const begin = (partition: number) => ({ partition, position: { offset: 0, epoch: -1 }, arrived: new Signal() });
  const options = { bootstrapBrokers: [kafka.bootstrap], serializers: stringSerializers };
  type Message = { topic: string; partition: number; key: string; value: string };
  return {
    ...{ cluster, topic, fetcher },
    fetched: topic.leaders.map((_, partition) => fetcher.add(topic, begin(partition))),
    async produce(messages: Message | readonly Message[], compression: (typeof compressions)[number]): Promise<void> {
      const producer = new Producer({ ...options, clientId: "foreign", compression });
      await producer.send({ messages: [messages].flat() as Message[] });
      await producer.close();
    },
    async transact(to: string, value: string, end: "commit" | "abort"): Promise<void> {
      const transactionalId = `${name}-${end}`;
      const producer = new Producer({ ...options, clientId: "foreign", idempotent: true, transactionalId });
      // A broker that has just started has nobody yet to look after transactions.
      const transaction = await waitFor(() => producer.beginTransaction());
      await transaction.send({ messages: [{ topic: to, partition: 0, key: "k", value }] });
      await transaction[end]();
      await producer.close();
    },
  };
}

/** The next so many values, in their order. */
async function valuesOf(partition: FetchedPartition, count: number): Promise<unknown[]> {
  const values: unknown[] = [];
  await waitFor(() => {
    values.push(...partition.take(count - values.length).map(({ value }) => value));
    return values.length >= count;
  });
  return values;
}
