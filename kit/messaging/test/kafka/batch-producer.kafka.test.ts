import { requiresKafka, testKafka, waitFor } from "@onsale/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { BatchProducer } from "../../src/kafka/batch-producer.ts";
import { KafkaCluster } from "../../src/kafka/index.ts";
import { RecordBatch } from "../../src/kafka/record-batch.ts";
import { losesAnswer } from "./lost-answer.ts";

describe.skipIf(!(await requiresKafka()))("a producer of whole batches", () => {
  test("sends again what got no answer, and it is there once", async () => {
    const { cluster, topic } = await emptyTopic();
    const client = cluster.openProducer("batches");
    onTestFinished(() => client.close());
    const requests = losesAnswer(client, 1);
    const producer = new BatchProducer(client, topic);

    const first = await producer.send(new Map([[0, batchOf("one", "two")]]));
    expect(requests).toHaveLength(2);
    const second = await producer.send(new Map([[0, batchOf("three")]]));

    expect([first.get(0), second.get(0)]).toEqual([0, 2]);
    expect(await cluster.bounds(topic.name, 0)).toEqual({ first: 0, next: 3 });
  });

  test("sends a request before the one before it is answered, and again only what got no answer", async () => {
    const { cluster, topic } = await emptyTopic();
    const client = cluster.openProducer("batches");
    onTestFinished(() => client.close());
    const requests = losesAnswer(client, 2);
    const producer = new BatchProducer(client, topic);

    await producer.send(new Map([[0, batchOf("one")]]));
    const sent = [["two", "three"], ["four"]].map((values) => producer.send(new Map([[0, batchOf(...values)]])));
    const offsets = (await Promise.all(sent)).map((appended) => appended.get(0));

    expect(offsets).toEqual([1, 3]);
    expect(requests).toHaveLength(4);
    expect(await cluster.bounds(topic.name, 0)).toEqual({ first: 0, next: 4 });
  });

  test("is not tried again where the broker refuses", async () => {
    const { cluster, topic } = await emptyTopic();
    const client = cluster.openProducer("batches");
    onTestFinished(() => client.close());
    const producer = new BatchProducer(client, { ...topic, name: `${topic.name}-misspelt` });

    await expect(producer.send(new Map([[0, batchOf("one")]]))).rejects.toThrow();
    expect(await cluster.bounds(topic.name, 0)).toEqual({ first: 0, next: 0 });
  });
});

async function emptyTopic() {
  const cluster = new KafkaCluster(await testKafka());
  onTestFinished(() => cluster.close());
  const name = cluster.topicOf("batches", "online");
  await cluster.make(name, 1);
  const topic = await waitFor(() => cluster.describe(name));
  return { cluster, topic };
}

function batchOf(...values: readonly string[]): RecordBatch {
  const batch = new RecordBatch();
  for (const value of values) batch.append({ key: "key", value, headers: new Map() });
  return batch;
}
