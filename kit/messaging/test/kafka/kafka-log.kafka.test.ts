import type { Database } from "@onsale/postgres";
import { requiresKafka, testKafka } from "@onsale/testing";
import { Admin, Producer, stringSerializers } from "@platformatic/kafka";
import type pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { consumer } from "../../src/consumers/consumer.ts";
import { type RunningFeeds, startFeeds } from "../../src/consumers/feeds.ts";
import { beginAt, exportState } from "../../src/consumers/starting-point.ts";
import { toKafkaRecord } from "../../src/events/cloud-event.ts";
import { type Delivered, defineEvent, fact } from "../../src/events/event.ts";
import { begunLog, KafkaCluster, KafkaLog, type RunningRelay, startRelay, whyOtherLog } from "../../src/kafka/index.ts";
import { mostRecordBytes } from "../../src/kafka/received-batch.ts";
import type { Log } from "../../src/log.ts";
import { OutboxLog } from "../../src/outbox/outbox-log.ts";
import { publish } from "../../src/outbox/publish.ts";
import { slotOf } from "../../src/slot.ts";
import { silentTelemetry } from "../../src/telemetry.ts";
import { type TwoServices, twoServices } from "../two-services.ts";

const opened = defineEvent("door.opened.v1", {
  key: "id",
  lanes: { online: true },
  schema: Type.Object({ id: Type.String(), step: Type.Integer() }),
  sample: { id: "d", step: 1 },
});
const ports = { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } };
const keys = Array.from({ length: 20 }, (_, index) => `door-${index}`);

describe.skipIf(!(await requiresKafka()))("the Kafka log", () => {
  let services: TwoServices;
  let alpha: Database;
  let beta: Database;
  let admin: pg.Pool;
  let bootstrap: string;
  let cluster: KafkaCluster;
  let closing: (() => Promise<unknown>)[];

  beforeEach(async () => {
    services = await twoServices();
    ({ alpha, beta, admin } = services);
    const kafka = await testKafka();
    bootstrap = kafka.bootstrap;
    cluster = new KafkaCluster(kafka);
    closing = [];
  });
  afterEach(async () => {
    for (const close of closing.reverse()) await close();
    await cluster.close();
    await services[Symbol.asyncDispose]();
  });

  function relay(
    options: {
      partitions?: number;
      interrupted?: (error: unknown) => void;
      leaseMs?: number;
      reader?: "snapshot" | "wal";
      shards?: number;
    } = {},
  ) {
    const { partitions = 4, leaseMs = 3_000, interrupted = () => undefined, reader = "snapshot", shards = 1 } = options;
    const telemetry = { ...silentTelemetry, interrupted: ({ error }: { error: unknown }) => interrupted(error) };
    const running: RunningRelay = startRelay({
      ...{ database: alpha, cluster, partitions, leaseMs, telemetry },
      outbox: new OutboxLog({ database: alpha, reader, slots: shards }),
    });
    closing.push(() => running.drain());
    return running;
  }

  function hear({ slots = 1, log: other }: { slots?: number; log?: Log } = {}) {
    const heard: Delivered[] = [];
    const kafkaLog = new KafkaLog({ cluster, database: beta, slots, writtenBy: "relay" });
    const log = other ?? kafkaLog;
    const feeds: RunningFeeds = startFeeds({
      service: "beta",
      database: beta,
      consumers: [
        consumer("beta.hear", { on: opened, in: "batch", do: async (_tx, events) => void heard.push(...events) }),
      ],
      ports,
      sourceOf: () => "alpha",
      log,
    });
    closing.push(
      () => kafkaLog.close(),
      () => feeds.drain(),
    );
    return {
      feeds,
      heard,
      stepsOf: (key: string) => heard.filter((event) => event.key === key).map(({ sequence }) => sequence),
      atLeast: (count: number) =>
        expect.poll(() => heard.length, { timeout: 15_000, interval: 5 }).toBeGreaterThanOrEqual(count),
    };
  }

  /** A database with a slot can't be dropped, nor a slot whose session has not ended yet. */
  const dropSlots = () =>
    expect
      .poll(
        async () => {
          const own = "from pg_replication_slots where database = current_database()";
          await admin.query(`select pg_drop_replication_slot(slot_name) ${own} and not active`);
          return (await admin.query(`select slot_name ${own}`)).rows;
        },
        { timeout: 30_000 },
      )
      .toEqual([]);

  async function publishSteps(steps: readonly number[], own: readonly string[] = keys): Promise<void> {
    for (const step of steps) {
      const facts = own.map((id) =>
        fact(opened, { data: { id, step }, sequence: step, cause: { correlationId: "t" } }),
      );
      await alpha.transaction((tx) => publish(tx, facts));
    }
  }

  test("every event arrives once and in its key's order, and the relay has no backlog left", async () => {
    const running = relay();
    const { atLeast, stepsOf, heard } = hear();
    await publishSteps([1, 2, 3, 4]);
    await atLeast(80);
    for (const key of keys) expect(stepsOf(key)).toEqual([1, 2, 3, 4]);
    expect(heard.length).toBe(80);
    await expect
      .poll(async () => (await running.backlog())[0])
      .toMatchObject({ lane: "online", events: 0, oldestAgeMs: 0 });
  });

  // A checkpoint is kept every ten seconds.
  test("a relay that reads the write-ahead log keeps the places that it can begin again from", {
    timeout: 120_000,
  }, async () => {
    const faults: unknown[] = [];
    closing.push(dropSlots);
    relay({ reader: "wal", interrupted: (error) => faults.push(error) });
    const { atLeast } = hear();
    for (const [index, step] of [1, 2, 3].entries()) {
      await publishSteps([step]);
      await atLeast(20 * (index + 1));
    }
    // Saved with a place in the log by now, and each of the checkpoints without one.
    const saved =
      "select count(*)::int as count from alpha.reader_cursor where reader = 'relay' and wal_lsn is not null";
    await expect.poll(async () => (await admin.query(saved)).rows[0].count, { timeout: 30_000 }).toBeGreaterThan(0);
    const kept = async () => (await admin.query("select outbox_cursor from alpha.kafka_checkpoint")).rows;
    const before = (await kept()).length;
    await expect.poll(async () => (await kept()).length, { timeout: 45_000 }).toBeGreaterThan(before);
    for (const { outbox_cursor } of await kept()) expect(outbox_cursor).not.toHaveProperty("wal");
    expect(faults).toEqual([]);
  });

  test("several slots share the partitions of a topic; `passed` waits for all of them", async () => {
    relay();
    const { feeds, atLeast, stepsOf } = hear({ slots: 2 });
    await publishSteps([1, 2]);
    const { rows } = await admin.query("select clock_timestamp() as now");
    expect(await feeds.passed("alpha", rows[0].now.toISOString(), 10_000)).toBe(true);
    await atLeast(40);
    for (const key of keys) expect(stepsOf(key)).toEqual([1, 2]);
    const cursors = await admin.query("select slot, kafka -> 'at' as at from beta.reader_cursor order by slot");
    expect(cursors.rows.map(({ at }) => Object.keys(at))).toEqual([
      ["0", "2"],
      ["1", "3"],
    ]);
  });

  test("processes share the shards of a relay evenly; what changes hands is appended once and in order", async () => {
    const shares = async () =>
      (
        await admin.query(
          `select count(*)::int as share from alpha.reader_cursor
           where lane = 'online' and owner is not null and wanted_by is null group by owner`,
        )
      ).rows.map(({ share }) => share);
    relay({ shards: 4 });
    const { atLeast, stepsOf } = hear({ slots: 2 });
    await expect.poll(shares, { timeout: 15_000 }).toEqual([4]);
    const load = publishSteps([1, 2, 3, 4, 5, 6, 7, 8]);
    const second = relay({ shards: 4 });
    await expect.poll(shares, { timeout: 15_000 }).toEqual([2, 2]);
    await load;
    await publishSteps([9, 10]);
    await atLeast(200);
    await second.drain();
    await publishSteps([11]);
    await atLeast(220);
    for (const key of keys) expect(stepsOf(key)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const topic = cluster.topicOf("alpha", "online");
    const ends = await Promise.all([0, 1, 2, 3].map((partition) => cluster.bounds(topic, partition)));
    const { rows } = await admin.query(
      "select sum(unclean_takes)::int as unclean, sum(epoch)::int as takes from alpha.reader_cursor where lane = 'online'",
    );
    expect(rows[0].unclean).toBe(0);
    expect(ends.reduce((sum, { next }) => sum + next, 0)).toBeGreaterThanOrEqual(220);
  });

  test("a relay that appends everything a second time causes no second effect and no other order", async () => {
    const first = relay();
    const { atLeast, stepsOf, heard, feeds } = hear();
    await publishSteps([1, 2, 3]);
    await atLeast(60);
    await first.drain();
    // As a relay does that was frozen before it appended, and goes on while its successor is far ahead.
    await admin.query(
      `update alpha.reader_cursor set snap = '3:3:', high = 0, at = 0, next_snap = null, next_high = null where reader = 'relay'`,
    );
    relay();
    await publishSteps([4]);
    await atLeast(80);
    const { rows } = await admin.query("select clock_timestamp() as now");
    expect(await feeds.passed("alpha", rows[0].now.toISOString(), 10_000)).toBe(true);
    for (const key of keys) expect(stepsOf(key)).toEqual([1, 2, 3, 4]);
    expect(heard.length).toBe(80);
  });

  test("a foreign message becomes a dead letter with its cause, and what follows it flows on", async () => {
    relay();
    const { atLeast } = hear();
    await publishSteps([1]);
    await atLeast(20);
    const topic = cluster.topicOf("alpha", "online");
    const stranger = new Producer({
      clientId: "stranger",
      bootstrapBrokers: [bootstrap],
      serializers: stringSerializers,
    });
    await stranger.send({
      messages: [
        { topic, partition: 1, key: "x", value: "{not json" },
        // What is said of a letter has to be kept, too, and what it is found by.
        {
          ...{ topic, partition: 1, value: "" },
          ...{ key: "x".repeat(4_000), headers: { "content-type": "x\0y" } },
        },
      ],
      acks: -1,
    });
    // To the broker it is a few kilobytes.
    const large = { topic, partition: 2, key: "y", value: " ".repeat(mostRecordBytes) };
    await stranger.send({ messages: [large], acks: -1, compression: "zstd" });
    await stranger.close();
    await publishSteps([2]);
    await atLeast(40);
    const letters = () =>
      admin.query("select readable, cause, event ->> 'value' as value from beta.dead_letter order by cause");
    await expect
      .poll(async () => (await letters()).rows)
      .toEqual([
        { readable: false, cause: "NO_CLOUD_EVENT", value: "{not json" },
        { readable: false, cause: "TOO_LARGE", value: null },
        { readable: false, cause: "WRONG_CONTENT_TYPE", value: "" },
      ]);
  });

  test("a forged event of a real key becomes a dead letter, and the key's own events are heard", async () => {
    relay();
    const { atLeast, stepsOf, heard } = hear();
    await publishSteps([1]);
    await atLeast(20);
    const [real] = heard;
    if (!real) throw new Error("Nothing was heard.");
    const { key } = real;
    const own = slotOf(key, 4);
    const long = "k".repeat(1_025);
    const next = { ...real, id: crypto.randomUUID(), sequence: 2, data: { id: key, step: 2 } };
    await append([
      { event: { ...next, data: { id: "another", step: 2 } }, partition: own },
      { event: { ...next, data: { step: 2 } }, partition: own },
      { event: { ...next, data: { id: { toString: 1, valueOf: 1 }, step: 2 } as never }, partition: own },
      { event: { ...next, key: long, data: { id: long, step: 2 } }, partition: slotOf(long, 4) },
      { event: next, partition: (own + 1) % 4 },
      { event: { ...next, source: "gamma" }, partition: own },
      { event: { ...next, incarnation: "another" }, partition: own },
      { event: { ...next, data: { id: key, step: 2, note: "\u0000" } }, partition: own },
    ]);
    await publishSteps([2, 3]);
    await atLeast(60);
    for (const door of keys) expect(stepsOf(door)).toEqual([1, 2, 3]);
    expect(heard).toHaveLength(60);
    const letters = "select cause, error from beta.dead_letter order by cause, error";
    await expect
      .poll(async () => (await admin.query(letters)).rows)
      .toEqual([
        { cause: "BAD_ATTRIBUTE", error: 'incarnation is "another"' },
        { cause: "BAD_ATTRIBUTE", error: "it says that it belongs to gamma/online" },
        { cause: "BAD_ATTRIBUTE", error: "its key has more than 1024 bytes" },
        { cause: "BROKEN_TEXT", error: "the value has a NUL, half of a character, or too many levels to look for one" },
        { cause: "KEY_MISMATCH", error: `its key is "${key}", the id of its data "another"` },
        { cause: "KEY_MISMATCH", error: `its key is "${key}", the id of its data no text` },
        { cause: "KEY_MISMATCH", error: `its key is "${key}", the id of its data no text` },
        { cause: "WRONG_PARTITION", error: `its key belongs to partition ${own}` },
      ]);
  });

  test("another number of partitions than was written down is refused by name", async () => {
    const first = relay();
    const { atLeast } = hear();
    await publishSteps([1]);
    await atLeast(20);
    await first.drain();
    const faults: string[] = [];
    relay({ partitions: 8, interrupted: (error) => faults.push(String(error)) });
    await expect
      .poll(() => faults[0])
      .toMatch(/KafkaTopicError: .*alpha\.\w+ was made with 4 partitions and can't go on with 8/);
  });

  test("a topic that was there before is somebody else's, and nothing is written to it", async () => {
    await cluster.make(cluster.topicOf("alpha", "online"), 4);
    const faults: string[] = [];
    relay({ interrupted: (error) => faults.push(String(error)) });
    await publishSteps([1]);
    await expect.poll(() => faults[0]).toMatch(/KafkaTopicError: .*alpha\.online was on the Kafka cluster before/);
    expect(await cluster.bounds(cluster.topicOf("alpha", "online"), 0)).toEqual({ first: 0, next: 0 });
  });

  test("what began on one log is known, and can't go on with another log, cluster or prefix", async () => {
    relay();
    const { atLeast } = hear();
    await publishSteps([1]);
    await atLeast(20);
    const choice = { cluster: await cluster.identify(10_000), topicOf: cluster.topicOf };
    const begun = await begunLog(alpha);
    expect(whyOtherLog("alpha", begun, choice)).toBeUndefined();
    expect(whyOtherLog("alpha", begun, undefined)).toMatch(
      /events of alpha go through Kafka .* can't go on without it/,
    );
    expect(whyOtherLog("alpha", begun, { ...choice, cluster: "other" })).toMatch(
      /at this address is the cluster other/,
    );
    expect(whyOtherLog("alpha", begun, { ...choice, topicOf: () => "x.alpha.online" })).toMatch(
      /can't go on in x\.alpha/,
    );
    expect(whyOtherLog("beta", await begunLog(beta), choice)).toBeUndefined();
  });

  test("readers that began on outboxes can't go on with Kafka", async () => {
    await publishSteps([1]);
    const { atLeast, feeds } = hear({ log: new OutboxLog({ database: beta }) });
    await atLeast(20);
    await feeds.drain();
    const choice = { cluster: await cluster.identify(10_000), topicOf: cluster.topicOf };
    expect(whyOtherLog("beta", await begunLog(beta), choice)).toMatch(/beta was begun without Kafka/);
    expect(whyOtherLog("beta", await begunLog(beta), undefined)).toBeUndefined();
  });

  test("a topic that was deleted and made anew is filled from the outbox again, and readers begin in it", async () => {
    const first = relay();
    const { atLeast, stepsOf, heard } = hear();
    await publishSteps([1, 2]);
    await atLeast(40);
    await first.drain();
    await deleteTopic();
    await publishSteps([3]);
    relay();
    await atLeast(60);
    for (const key of keys) expect(stepsOf(key)).toEqual([1, 2, 3]);
    expect(heard.length).toBe(60);
  });

  test("who began at an export has nothing of it again, though all of it is written to the topic once more", async () => {
    const first = relay();
    await publishSteps([1, 2]);
    await expect.poll(() => cluster.describe(cluster.topicOf("alpha", "online")), { timeout: 15_000 }).toBeDefined();
    const { from } = await exportState(alpha, async () => undefined);
    const log = new KafkaLog({ cluster, database: beta });
    closing.push(() => log.close());
    await beginAt(beta, { reader: "beta", on: [opened], from, log }, async () => undefined);
    await first.drain();
    await deleteTopic();
    await publishSteps([3]);
    relay();
    const { atLeast, heard } = hear({ log });
    await atLeast(20);
    await publishSteps([4]);
    await atLeast(40);
    expect(new Set(heard.map(({ sequence }) => sequence))).toEqual(new Set([3, 4]));
    expect(heard).toHaveLength(40);
  });

  test("an export of a source that had no topic is no beginning in one", async () => {
    const { from } = await exportState(alpha, async () => undefined);
    const log = new KafkaLog({ cluster, database: beta });
    await expect(beginAt(beta, { reader: "beta", on: [opened], from, log }, async () => undefined)).rejects.toThrow(
      "beta can't begin in a topic: when alpha was exported, it had none on Kafka.",
    );
  });

  /** Appends as any program may that the broker lets write. */
  async function append(records: readonly { event: Delivered; partition: number }[]): Promise<void> {
    const topic = cluster.topicOf("alpha", "online");
    const stranger = new Producer({
      clientId: "stranger",
      bootstrapBrokers: [bootstrap],
      serializers: stringSerializers,
    });
    const messages = records.map(({ event, partition }) => ({ topic, partition, ...toKafkaRecord(event) }));
    await stranger.send({ messages, acks: -1 });
    await stranger.close();
  }

  async function deleteTopic(): Promise<void> {
    const kafka = new Admin({ clientId: "test", bootstrapBrokers: [bootstrap] });
    await kafka.deleteTopics({ topics: [cluster.topicOf("alpha", "online")] });
    await kafka.close();
  }
});
