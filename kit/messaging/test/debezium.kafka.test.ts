import type { Database } from "@onsale/postgres";
import {
  outboxConnector,
  ownConnect,
  requiresConnect,
  type TestDatabase,
  testDatabase,
  testKafka,
  waitFor,
} from "@onsale/testing";
import pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { consumer } from "../src/consumers/consumer.ts";
import { startFeeds } from "../src/consumers/feeds.ts";
import { type Delivered, defineEvent } from "../src/events/event.ts";
import { KafkaCluster } from "../src/kafka/cluster.ts";
import { KafkaLog } from "../src/kafka/kafka-log.ts";
import type { LogReader } from "../src/log.ts";
import { beginning, SnapshotReader } from "../src/outbox/snapshot-reader.ts";
import { WindowSource } from "../src/outbox/window.ts";
import { letWrite } from "./crowd-of-writers.ts";

// Connect needs 6 s to run on an idle machine, and the tests of other files share this one.
const timeout = 180_000;

const happened = defineEvent("thing.happened.v1", {
  key: "key",
  lanes: { online: true },
  schema: Type.Object({ key: Type.String() }),
  sample: { key: "thing" },
});

let home: TestDatabase;
let database: Database;
let admin: pg.Client;

beforeEach(async () => {
  const migrations = new URL("./accounts-migrations/", import.meta.url);
  home = await testDatabase({ services: [{ name: "alpha", migrations }] });
  database = home.open("alpha");
  admin = new pg.Client({ connectionString: home.adminUrl, options: "-c search_path=alpha" });
  await admin.connect();
});
afterEach(async () => {
  await dropSlot();
  await admin.end();
  await home.close();
});

describe.skipIf(!(await requiresConnect()))("an outbox read by Debezium's outbox event router", { timeout }, () => {
  test("gives the same events in the same order of each key as our own reader", async () => {
    await using relay = await debezium();
    const deeds = await letWrite({ adminUrl: home.adminUrl, seed: 11, writers: 8, transactions: 400 });
    for (const [deed, count] of Object.entries(deeds)) expect(count, `no writer did this: ${deed}`).toBeGreaterThan(0);

    const ours = await readOutbox();
    const theirs = await readTopic(relay.cluster, ours.length);

    expect(await deadLetters()).toEqual([]);
    expect(byId(theirs)).toEqual(byId(ours));
    expect(keysInOrder(theirs)).toEqual(keysInOrder(ours));
  });

  test("is heard by the same consumers, each event once, while partitions come and go and others read the log", async () => {
    await using relay = await debezium();
    const heard: Delivered[] = [];
    const log = new KafkaLog({ cluster: relay.cluster, database });
    const feeds = startFeeds({
      ...{ service: "alpha", database, log, sourceOf: () => "alpha", ports },
      consumers: [
        consumer("alpha.hear", { on: [happened], in: "batch", do: async (_tx, events) => void heard.push(...events) }),
      ],
    });
    try {
      await letWrite({ adminUrl: home.adminUrl, seed: 12, writers: 8, transactions: 200 });
      await waitFor(() => isHeard(heard));
      await emptyFirstPartition();
      await markPlaceInLog();
      await letWrite({ adminUrl: home.adminUrl, seed: 13, writers: 8, transactions: 200 });
      await waitFor(() => isHeard(heard));
      expect(new Set(heard.map(({ id }) => id)).size).toBe(heard.length);
      for (const sequences of keysInOrder(heard).values())
        expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    } finally {
      await feeds.drain();
      await log.close();
    }
  });
});

const ports = { clock: { now: () => new Date().toISOString() }, ids: { uuid: () => crypto.randomUUID() } };

/** Connect with Debezium on the outbox, as it is, and a topic of our own kind. */
async function debezium() {
  const { bootstrap, prefix } = await testKafka();
  const cluster = new KafkaCluster({ bootstrap, prefix });
  const topic = cluster.topicOf("alpha", "online");
  await cluster.make(topic, 4);
  // Names of slots belong to the whole server.
  slot = `debezium_${prefix.replace(".", "")}`;
  const connector = outboxConnector({
    ...{ databaseUrl: await home.tcpUrl(), source: "alpha", lane: "online", topic },
    settings: { "slot.name": slot },
  });
  const connect = await ownConnect({ bootstrap, connectors: { outbox: connector } });
  return {
    cluster,
    async [Symbol.asyncDispose]() {
      await connect[Symbol.asyncDispose]();
      await cluster.close();
    },
  };
}

let slot = "";

/** A database with a slot can't be dropped. The server notices that Connect was killed when it next writes to it. */
const dropSlot = () =>
  waitFor(async () => {
    await admin.query("select pg_terminate_backend(active_pid, 1000) from pg_replication_slots where slot_name = $1", [
      slot,
    ]);
    await admin.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1", [
      slot,
    ]);
    return true;
  });

async function readOutbox(): Promise<Delivered[]> {
  const windows = new WindowSource(database, "alpha");
  const reader = new SnapshotReader({ database, windows, source: "alpha", lane: "online" });
  const events: Delivered[] = [];
  for (let at = beginning; ; ) {
    const chunk = await reader.read(at, 100);
    events.push(...chunk.events.map(({ event }) => event));
    if (chunk.drained) return events;
    at = chunk.after;
  }
}

async function readTopic(cluster: KafkaCluster, count: number): Promise<Delivered[]> {
  const log = new KafkaLog({ cluster, database });
  const reader: LogReader = log.open({ reader: "comparison", source: "alpha", lane: "online", slot: 0 });
  const events: Delivered[] = [];
  try {
    let cursor = {};
    await waitFor(async () => {
      const chunk = await reader.read(cursor, 100);
      cursor = chunk.after;
      events.push(...chunk.events.map(({ event }) => event));
      return events.length + (await deadLetters()).length >= count;
    });
    return events;
  } finally {
    await reader.close();
    await log.close();
  }
}

/** Debezium tells microseconds where we tell milliseconds. */
const byId = (events: readonly Delivered[]) =>
  new Map(events.map((event) => [event.id, { ...event, time: new Date(event.time).toISOString() }]));

/** The sequences of each key, as they came. */
const keysInOrder = (events: readonly Delivered[]): ReadonlyMap<string, readonly number[]> =>
  new Map([...Map.groupBy(events, ({ key }) => key)].map(([key, own]) => [key, own.map(({ sequence }) => sequence)]));

/** What of the topic was no event of ours, and why. */
async function deadLetters(): Promise<string[]> {
  const { rows } = await admin.query("select error from dead_letter");
  return rows.map(({ error }) => error);
}

async function isHeard(heard: readonly Delivered[]): Promise<boolean> {
  const { rows } = await admin.query("select id from outbox_online");
  const ids = new Set(heard.map(({ id }) => id));
  return rows.length > 0 && rows.every(({ id }) => ids.has(id));
}

/** As our own readers of the write-ahead log do, in every database where they read. */
const markPlaceInLog = () => admin.query("select pg_logical_emit_message(false, 'onsale', '')");

/** What a long life does to an outbox: writers have gone on to the next partition, and the first one leaves. */
async function emptyFirstPartition(): Promise<void> {
  await admin.query("select setval('outbox_online_position_seq', 500000)");
  await admin.query("truncate outbox_online_1");
  await admin.query("alter table outbox_online detach partition outbox_online_1");
  await admin.query("drop table outbox_online_1");
}
