import type { Database } from "@onsale/postgres";
import { requiresKafka, testKafka, waitFor } from "@onsale/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { toKafkaRecord } from "../../src/events/cloud-event.ts";
import type { Delivered } from "../../src/events/event.ts";
import { BatchProducer } from "../../src/kafka/batch-producer.ts";
import { hopHeader, hopText } from "../../src/kafka/hop-header.ts";
import { KafkaCluster, KafkaLog } from "../../src/kafka/index.ts";
import { RecordBatch } from "../../src/kafka/record-batch.ts";
import type { Chunk, Cursor, LogReader, ReadEvent } from "../../src/log.ts";
import { slotOf } from "../../src/slot.ts";

const feed = { reader: "beta.read", source: "alpha", lane: "online", slot: 0 } as const;
const partitions = 4;
const eventsOfPartition = 6;

/** A key for each partition, which is where a relay puts it. */
const keyOf = (partition: number): string =>
  Array.from({ length: 100 }, (_, number) => `key-${number}`).find((key) => slotOf(key, partitions) === partition) ??
  "";

const incarnation = "019a9f3e-7c1e-4abc-8def-0123456789ab";

describe.skipIf(!(await requiresKafka()))("a reader of a topic", () => {
  test("takes of every partition in turn, so that what it gives at once is of many keys", async () => {
    const { readFrom } = await filledTopic();
    const { events } = await readFrom({}, 8);
    const keys = events.map(({ event }) => event.key).toSorted();
    expect(keys).toEqual([0, 0, 1, 1, 2, 2, 3, 3].map(keyOf).toSorted());
  });

  test("goes on behind any event that it gave, with nothing twice and nothing left out", async () => {
    const { readFrom, readAllFrom } = await filledTopic();
    const { events } = await readFrom({}, 10);
    for (const [index, { after }] of events.entries()) {
      const before = events.slice(0, index + 1).map(({ event }) => event.id);
      const behind = (await readAllFrom(after)).map(({ event }) => event.id);
      expect(new Set([...before, ...behind]).size).toBe(partitions * eventsOfPartition);
      expect(before.length + behind.length).toBe(partitions * eventsOfPartition);
    }
  });

  test("tells when an event passed the relay and the broker", async () => {
    const { readFrom } = await filledTopic();
    const { events } = await readFrom({}, 1);
    expect(events[0]?.moments).toMatchObject({
      visible: 5,
      relayed: 6,
      appended: expect.any(Number),
      fetched: expect.any(Number),
    });
  });
});

async function filledTopic() {
  const cluster = new KafkaCluster(await testKafka());
  const log = new KafkaLog({ cluster, database: {} as Database });
  const name = cluster.topicOf(feed.source, feed.lane);
  await cluster.make(name, partitions);
  const topic = await waitFor(() => cluster.describe(name));
  const client = cluster.openProducer("test");
  await new BatchProducer(client, topic).send(
    new Map(Array.from({ length: partitions }, (_, partition) => [partition, batchOf(partition)])),
  );
  await client.close();
  onTestFinished(async () => {
    await log.close();
    await cluster.close();
  });
  const withReader = async <Result>(use: (reader: LogReader) => Promise<Result>): Promise<Result> => {
    const reader = log.open(feed);
    return await use(reader).finally(() => reader.close());
  };
  return {
    /** What a new reader gives from a place at once, when something has come to it. */
    readFrom: (cursor: Cursor, limit: number): Promise<Chunk> =>
      withReader(async (reader) => {
        await reader.read(cursor, 0);
        await waitFor(async () => (await reader.read(cursor, 0)).drained === false);
        return await reader.read(cursor, limit);
      }),
    /** Everything that a new reader gives from a place, however many fetches it comes in. */
    readAllFrom: (cursor: Cursor): Promise<readonly ReadEvent[]> =>
      withReader(async (reader) => {
        const events: ReadEvent[] = [];
        for (let at = cursor, drained = false; !drained; ) {
          const chunk = await reader.read(at, 100);
          events.push(...chunk.events);
          [at, drained] = [chunk.after, chunk.drained];
        }
        return events;
      }),
  };
}

function batchOf(partition: number): RecordBatch {
  const batch = new RecordBatch();
  for (let sequence = 1; sequence <= eventsOfPartition; sequence++) {
    const { key, value, headers } = toKafkaRecord(eventOf(keyOf(partition), sequence));
    batch.append({ key, value, headers: new Map([...headers, [hopHeader, hopText(5, 6)]]) });
  }
  return batch;
}

const eventOf = (key: string, sequence: number): Delivered => ({
  ...{ id: `${key}/${sequence}`, type: "door.opened.v1", source: feed.source, incarnation, key, sequence },
  ...{ lane: feed.lane, time: "2026-11-22T10:00:00.000Z", cause: { correlationId: "t" }, data: { id: key } },
});
