import { requiresKafka, testKafka, waitFor } from "@onsale/testing";
import { type Connection, NetworkError, type Producer } from "@platformatic/kafka";
import { describe, expect, onTestFinished, test } from "vitest";
import { BatchProducer } from "../../src/kafka/batch-producer.ts";
import { KafkaCluster } from "../../src/kafka/index.ts";
import { RecordBatch } from "../../src/kafka/record-batch.ts";

type Client = Producer<string, string, string, string>;

describe.skipIf(!(await requiresKafka()))("a producer of whole batches", () => {
  test("sends again what got no answer, and it is there once", async () => {
    const { cluster, topic } = await emptyTopic();
    const client = cluster.openProducer("batches");
    onTestFinished(() => client.close());
    const requests = losesFirstAnswer(client);
    const producer = new BatchProducer(client, topic);

    const first = await producer.send(new Map([[0, batchOf("one", "two")]]));
    expect(requests).toHaveLength(2);
    const second = await producer.send(new Map([[0, batchOf("three")]]));

    expect([first.get(0), second.get(0)]).toEqual([0, 2]);
    expect(await cluster.bounds(topic.name, 0)).toEqual({ first: 0, next: 3 });
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

/** Its first request reaches the broker and is carried out; its answer is lost with the connection. Gives all requests. */
function losesFirstAnswer(client: Client): unknown[] {
  const requests: unknown[] = [];
  const connect = client.connectToBrokers.bind(client);
  client.connectToBrokers = (async (nodes: number[]) => {
    const connections = await connect(nodes);
    for (const connection of connections.values()) tap(connection);
    return connections;
  }) as Client["connectToBrokers"];
  return requests;

  function tap(connection: Connection) {
    const send = connection.send.bind(connection) as (...values: unknown[]) => boolean;
    connection.send = ((...values: unknown[]) => {
      requests.push(values);
      const answered = values.at(-1) as (error: Error | null, response?: unknown) => void;
      const lost = requests.length === 1;
      return send(...values.slice(0, -1), (error: Error | null, response: unknown) =>
        lost ? answered(error ?? new NetworkError("Connection closed")) : answered(error, response),
      );
    }) as Connection["send"];
  }
}
