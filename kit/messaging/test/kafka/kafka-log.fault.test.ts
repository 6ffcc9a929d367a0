/** What a broker, an operator and the system do to a Kafka log, and what must hold. Each test has a broker of its own. */

import { readdir, readFile, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { Database } from "@onsale/postgres";
import { type OwnKafka, ownKafka, requiresKafka, spawnNode, type TestDatabase, waitFor } from "@onsale/testing";
import { Admin } from "@platformatic/kafka";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { consumer } from "../../src/consumers/consumer.ts";
import { startFeeds } from "../../src/consumers/feeds.ts";
import type { Delivered } from "../../src/events/event.ts";
import { KafkaCluster, KafkaLog, silentKafkaTelemetry, startRelay } from "../../src/kafka/index.ts";
import { silentTelemetry } from "../../src/telemetry.ts";
import { type TwoServices, twoServices } from "../two-services.ts";
import { doors, openDoors, opened } from "./opened-door.ts";

const ports = { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } };
const longMs = 300_000;

/** Until a process says something. Below the test's own bound, so that processes are always ended. */
const lineMs = 60_000;

describe.skipIf(!(await requiresKafka()))("the Kafka log", { timeout: longMs }, () => {
  let kafka: OwnKafka;
  let services: TwoServices;
  let home: TestDatabase;
  let alpha: Database;
  let beta: Database;
  let admin: pg.Pool;
  let cluster: KafkaCluster;
  let closing: (() => Promise<unknown>)[];
  let number = 0;

  beforeAll(async () => {
    kafka = await ownKafka();
  });
  afterAll(() => kafka[Symbol.asyncDispose]());
  beforeEach(async () => {
    services = await twoServices();
    ({ home, alpha, beta, admin } = services);
    cluster = new KafkaCluster({ bootstrap: kafka.bootstrap, prefix: `t${++number}.` });
    closing = [];
  });
  afterEach(async () => {
    for (const close of closing.reverse()) await close();
    await cluster.close();
    await services[Symbol.asyncDispose]();
  });

  /** Words about faults, and about ends of topics that were missed. */
  function relay() {
    const told: string[] = [];
    const running = startRelay({
      ...{ database: alpha, cluster, partitions: 4 },
      telemetry: { ...silentTelemetry, interrupted: ({ error }) => told.push(String(error)) },
      kafkaTelemetry: { ...silentKafkaTelemetry, tailLost: ({ why }) => told.push(`tail lost: ${why}`) },
    });
    closing.push(() => running.drain());
    return { told, running };
  }

  function hear(service: string) {
    const heard: Delivered[] = [];
    const log = new KafkaLog({ cluster, database: beta });
    const feeds = startFeeds({
      ...{ service, database: beta, ports, sourceOf: () => "alpha", log },
      consumers: [
        consumer(`${service}.hear`, { on: opened, in: "batch", do: async (_tx, events) => void heard.push(...events) }),
      ],
    });
    closing.push(
      () => log.close(),
      () => feeds.drain(),
    );
    return heard;
  }

  /** Every step of every door arrived once and in order. */
  async function arrived(heard: readonly Delivered[], steps: number): Promise<void> {
    await waitFor(() => heard.length >= steps * doors.length, { withinMs: 60_000, what: "all events" });
    const inOrder = Array.from({ length: steps }, (_, index) => index + 1);
    for (const door of doors)
      expect(heard.filter(({ key }) => key === door).map(({ sequence }) => sequence)).toEqual(inOrder);
  }

  async function asOperator<Result>(work: (operator: Admin) => Promise<Result>): Promise<Result> {
    const operator = new Admin({ clientId: "operator", bootstrapBrokers: [kafka.bootstrap] });
    try {
      return await work(operator);
    } finally {
      await operator.close();
    }
  }

  test("a broker that comes back without the end of its partitions is given it again from the outbox", async () => {
    const { told } = relay();
    const heard = hear("beta");
    await openDoors(alpha, [1, 2, 3, 4]);
    await arrived(heard, 4);

    await kafka.server.stop();
    expect(await cutTails(kafka.logFolder, cluster.topicOf("alpha", "online"))).toBeGreaterThan(0);
    await kafka.start();
    await openDoors(alpha, [5]);

    await arrived(heard, 5);
    await waitFor(() => told.some((words) => words.startsWith("tail lost: partition")), {
      what: "the loss to be told",
    });
    // Whoever begins now finds all of it on the topic.
    await arrived(hear("late"), 5);
  });

  test("partitions added by somebody are refused by name; once the topic is deleted it is made again, whole", async () => {
    const { told } = relay();
    const heard = hear("beta");
    await openDoors(alpha, [1]);
    await arrived(heard, 1);
    const name = cluster.topicOf("alpha", "online");
    await asOperator((operator) =>
      operator.createPartitions({ topics: [{ name, count: 5, assignments: null }], validateOnly: false }),
    );
    await waitFor(() => told.find((words) => words.includes("has 5 partitions where 4 are expected")), {
      withinMs: 60_000,
      what: "the refusal",
    });
    await openDoors(alpha, [2]);
    await asOperator((operator) => operator.deleteTopics({ topics: [name] }));
    await arrived(heard, 2);
    await arrived(hear("late"), 2);
  });

  test("a topic that is deleted while it is written and read is made again, and nobody misses or repeats anything", async () => {
    relay();
    const heard = hear("beta");
    await openDoors(alpha, [1, 2]);
    await arrived(heard, 2);
    await asOperator((operator) => operator.deleteTopics({ topics: [cluster.topicOf("alpha", "online")] }));
    await openDoors(alpha, [3]);
    await arrived(heard, 3);
    await arrived(hear("late"), 3);
  });

  test("an owner that is frozen with events in its hands, and revived after a take-over, commits nothing", async () => {
    await admin.query("create table beta.heard (event uuid not null)");
    await admin.query("grant insert on beta.heard to onsale_beta");
    relay();
    const args = (manner: string) => [home.adminUrl, kafka.bootstrap, `t${number}.`, manner];
    const script = new URL("./frozen-process.ts", import.meta.url);
    await using frozen = await spawnNode(script, { args: args("freeze") });
    await frozen.line(/listening/, lineMs);
    await openDoors(alpha, [1, 2, 3]);
    await frozen.line(/holds \d+ events/, lineMs);

    await using successor = await spawnNode(script, { args: args("go") });
    await successor.line(/listening/, lineMs);
    const counts = async () =>
      (await admin.query("select count(*)::int as all, count(distinct event)::int as different from beta.heard"))
        .rows[0];
    await waitFor(async () => (await counts()).all >= 60, { withinMs: 60_000, what: "the successor's work" });
    frozen.signal("SIGCONT");
    await frozen.line(/fenced/, lineMs);
    expect(await counts()).toEqual({ all: 60, different: 60 });
  });

  test("shows in Kafka how far its readers are, for the tools that read lag there", async () => {
    relay();
    const heard = hear("beta");
    await openDoors(alpha, [1]);
    await arrived(heard, 1);
    // Told twice a minute, and when somebody begins to read.
    await closing.pop()?.();
    hear("beta");
    const groupId = cluster.groupOf("beta");
    const shown = await waitFor(
      async () => {
        const [group] = await asOperator((operator) => operator.listConsumerGroupOffsets({ groups: [groupId] }));
        const [topic] = group?.topics ?? [];
        return topic && topic.partitions.reduce((sum, { committedOffset }) => sum + Number(committedOffset), 0) > 0;
      },
      { withinMs: 60_000, what: "offsets of the group" },
    );
    expect(shown).toBe(true);
  });
});

/**
 * Cuts each partition's file to half of its batches, as a disk does that lost what it had not written when the power went;
 * gives how many batches are gone.
 */
async function cutTails(logFolder: string, topic: string): Promise<number> {
  // Without it the broker reads its files anew.
  await rm(join(logFolder, ".kafka_cleanshutdown"), { force: true });
  let gone = 0;
  for (const partition of (await readdir(logFolder)).filter((name) => name.startsWith(`${topic}-`))) {
    const folder = join(logFolder, partition);
    for (const name of (await readdir(folder)).filter((file) => /\.(time)?index$/.test(file)))
      await rm(join(folder, name));
    const file = join(folder, "00000000000000000000.log");
    const ends = batchEnds(await readFile(file));
    await truncate(file, ends[Math.floor(ends.length / 2) - 1] ?? 0);
    gone += Math.ceil(ends.length / 2);
  }
  return gone;
}

/** Where the record batches of a segment end: each begins with its offset (8 bytes) and the length of what follows (4). */
function batchEnds(segment: Buffer): number[] {
  const ends: number[] = [];
  for (let at = 0; at + 12 <= segment.length; ) {
    at += 12 + segment.readInt32BE(at + 8);
    ends.push(at);
  }
  return ends;
}
