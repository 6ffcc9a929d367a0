import { requiresKafka, testKafka, waitFor } from "@onsale/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { Appender } from "../../src/kafka/appender.ts";
import { KafkaCluster } from "../../src/kafka/index.ts";
import type { ReadEvent } from "../../src/log.ts";
import { maximumPayloadBytes } from "../../src/outbox/publish.ts";
import { losesAnswer } from "./lost-answer.ts";

const stream = { source: "appending", lane: "online" } as const;

describe.skipIf(!(await requiresKafka()))("an appender", () => {
  test("makes requests while others are under way, and appends everything once and in order", async () => {
    const { cluster, topic } = await emptyTopic();
    const client = cluster.openProducer("appender");
    onTestFinished(() => client.close());
    const appender = new Appender(client, { stream, topic, partitions: [0], ends: {} });

    // Three of the largest do not go into one request, so each of these is several.
    const first = appender.prepare([1, 2, 3, 4].map(largeEvent), undefined);
    const appending = appender.append(first);
    const second = appender.prepare([5, 6, 7, 8].map(largeEvent), undefined);
    await appending;
    await appender.append(second);
    const third = appender.prepare([9].map(largeEvent), "2026-11-21T09:00:00.000Z");
    await appender.append(third);

    const appended = upTo(9).map(String);
    expect(await sequencesIn(cluster, topic)).toEqual([...appended, undefined]);
    expect(appender.written.at).toEqual({ 0: { offset: 10, epoch: topic.leaders[0]?.epoch } });
  });

  test("appends in the order in which it was told to, also what it did not wait for, and where an answer is lost", async () => {
    const { cluster, topic } = await emptyTopic();
    const client = cluster.openProducer("appender");
    onTestFinished(() => client.close());
    losesAnswer(client, 3);
    const appender = new Appender(client, { stream, topic, partitions: [0], ends: {} });

    // Of the first there are several requests, and the second is given before they are sent.
    await Promise.all(
      [upTo(12), [13, 14], [15]].map((sequences) =>
        appender.append(appender.prepare(sequences.map(largeEvent), undefined)),
      ),
    );

    expect(await sequencesIn(cluster, topic)).toEqual(upTo(15).map(String));
    expect(appender.written.at).toEqual({ 0: { offset: 15, epoch: topic.leaders[0]?.epoch } });
  });
});

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

async function emptyTopic() {
  const cluster = new KafkaCluster(await testKafka());
  onTestFinished(() => cluster.close());
  const name = cluster.topicOf(stream.source, stream.lane);
  await cluster.make(name, 1);
  const topic = await waitFor(() => cluster.describe(name));
  return { cluster, topic };
}

function largeEvent(sequence: number): ReadEvent {
  const event: ReadEvent["event"] = {
    ...{ ...stream, id: `event-${sequence}`, type: "sign.painted.v1", key: "sign-1", incarnation: "first" },
    ...{ sequence, time: "2026-11-21T09:00:00.000Z", cause: { correlationId: "request-7" } },
    data: { note: String(sequence % 10).repeat(maximumPayloadBytes - 100) },
  };
  return { event, after: {} };
}

/** Of all records of the topic's only partition; a watermark has none. */
async function sequencesIn(
  cluster: KafkaCluster,
  topic: { topicId: string; name: string; leaders: readonly { node: number }[] },
) {
  const consumer = cluster.openConsumer("appender");
  onTestFinished(() => consumer.close(true));
  consumer.topics.track(topic.name);
  const { next } = await cluster.bounds(topic.name, 0);
  const sequences: (string | undefined)[] = [];
  while (sequences.length < next) {
    const { responses } = await consumer.fetch({
      ...{ node: topic.leaders[0]?.node ?? 0, minBytes: 1, maxBytes: 64 * 1024 * 1024, maxWaitTime: 250 },
      topics: [
        {
          topicId: topic.topicId,
          partitions: [
            {
              ...{ partition: 0, fetchOffset: BigInt(sequences.length), partitionMaxBytes: 64 * 1024 * 1024 },
              ...{ lastFetchedEpoch: -1, currentLeaderEpoch: -1 },
            },
          ],
        },
      ],
    });
    for (const { records } of responses.flatMap(({ partitions }) => partitions))
      for (const { records: own } of records ?? [])
        for (const { headers } of own)
          sequences.push(headers.find(([name]) => name?.toString() === "ce_sequence")?.[1]?.toString());
  }
  return sequences;
}
