/**
 * `Parallel Consumer`: messages a second with a call of 0 to 5 ms each, in order of each key, ours over Confluent's. `key parallel`:
 * two partitions in order of each key over eight partitions in which one call waits for another.
 */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fetchJars, whatKafkaLacks } from "@onsale/kafka-server";
import { type Delivered, toKafkaRecord } from "@onsale/messaging";
import { defaultPartitions, KafkaCluster, slotOf } from "@onsale/messaging/kafka";
import { type Pair, pairedRow, round } from "../report.ts";
import { Child } from "./child.ts";
import type { EachOrder, EachReport, EachRound } from "./each-process.ts";
import { type Ground, source } from "./ground.ts";
import { orderPlaced } from "./order-event.ts";
import type { PartOptions, PartReport } from "./part.ts";

/** More than theirs, and than by partition. */
const goal = 1;
const messages = 10_000;
const keys = 1_000;
/** Calls at once, on both sides. */
const concurrency = 100;
const longestCallMs = 5;
const heapMegabytes = 1_024;
/** Of ours, with half of the calls each: so Node uses both of two processors, which theirs does with threads. */
const processes = 2;

const peers = new URL("../../peers/", import.meta.url);
const run = promisify(execFile);

export async function whatParallelConsumerLacks(jars: string): Promise<string | undefined> {
  const missing = await whatKafkaLacks(jars);
  if (missing !== undefined) return missing;
  const hasCompiler = await run("javac", ["-version"]).then(
    () => true,
    () => false,
  );
  return hasCompiler ? undefined : "A Java compiler is missing: install a development kit (javac on the path).";
}

export async function benchParallelConsumer(ground: Ground, options: PartOptions): Promise<PartReport> {
  const { bootstrap } = await ground.broker();
  await using ours = new OurProcesses({ url: ground.url, bootstrap });
  const byKey = { partitions: defaultPartitions, slots: processes, order: "key" } as const;
  const topic = await fillTopic(bootstrap, byKey.partitions);
  const besideTheirs = await measureBesideTheirs(options, {
    ours: () => ours.measure(byKey),
    startTheirs: () => startPeer(ground.jars, [bootstrap, topic, String(messages), String(concurrency)]),
  });
  const fewByKey = { partitions: 2, slots: processes, order: "key" } as const;
  const byPartition = { partitions: 8, slots: 8, order: "partition" } as const;
  await fillTopic(bootstrap, fewByKey.partitions);
  const besidePartitions = await measurePairs("key parallel", options, {
    value: () => ours.measure(fewByKey),
    limit: () => ours.measure(byPartition),
  });
  return {
    rows: [
      pairedRow("Parallel Consumer", besideTheirs, { unit: "messages/s", limit: "Confluent's", goal }),
      pairedRow("key parallel", besidePartitions, { unit: "messages/s", limit: "8 by partition", goal }),
    ],
    details: {
      ...{ messages, keys, concurrency, longestCallMs, pairs: besideTheirs },
      ours: { ...byKey, processes, callsAtOnceInEach: concurrency / processes },
      theirs: { processes: 1, ordering: "KEY", commitMode: "PERIODIC_CONSUMER_ASYNCHRONOUS", heapMegabytes },
      clock:
        "from the beginning of the first call to the end of the last, of all processes; all have their partitions before",
      keyParallel: { ours: fewByKey, limit: byPartition, pairs: besidePartitions },
    },
  };
}

async function measureBesideTheirs(
  options: PartOptions,
  { ours, startTheirs }: { ours: () => Promise<number>; startTheirs: () => Promise<Peer> },
): Promise<Pair[]> {
  await using theirs = await startTheirs();
  const theirRound = () => theirs.measure();
  for (const side of [theirRound, ours]) await warm(side, options);
  return await measurePairs("Parallel Consumer", options, { value: ours, limit: theirRound });
}

async function measurePairs(
  row: string,
  { pairs, say, goOn }: PartOptions,
  sides: { value: () => Promise<number>; limit: () => Promise<number> },
): Promise<Pair[]> {
  const measured: Pair[] = [];
  for (let pair = 1; pair <= pairs; pair++) {
    goOn();
    const limit = round(await sides.limit());
    const value = round(await sides.value());
    measured.push({ value, limit });
    say(`${row}, pair ${pair} of ${pairs}: ours ${value} messages/s, beside ${limit}`);
  }
  return measured;
}

/** Both sides are compiled as they run, and run for as long before they are measured. */
async function warm(side: () => Promise<number>, { peerWarmUpSeconds, say }: PartOptions): Promise<void> {
  say(`warming for ${peerWarmUpSeconds} s`);
  const end = performance.now() + peerWarmUpSeconds * 1_000;
  do await side();
  while (performance.now() < end);
}

/** How ours reads a topic. */
interface Manner {
  readonly partitions: number;
  readonly slots: number;
  readonly order: EachRound["order"];
}

/** Processes of one reader that share its slots evenly. */
class OurProcesses implements AsyncDisposable {
  readonly #place: Pick<EachRound, "url" | "bootstrap">;
  readonly #children = Array.from({ length: processes }, () => new Child<Partial<EachReport>>("./each-process.ts"));
  #rounds = 0;

  constructor(place: Pick<EachRound, "url" | "bootstrap">) {
    this.#place = place;
  }

  /** Messages in a second of one round. */
  async measure({ partitions, slots, order }: Manner): Promise<number> {
    const begin: EachRound = {
      ...{ ...this.#place, prefix: prefixOf(partitions), reader: `mirror.call-${++this.#rounds}`, order },
      concurrency: concurrency / processes,
      share: slots / processes,
      messages: messagesBySlot({ partitions, slots }),
    };
    await this.#askAll({ begin });
    const reports = await this.#askAll("read");
    await this.#askAll("end");
    const startedAt = Math.min(...reports.map((report) => report.startedAt ?? 0));
    return perSecond(Math.max(...reports.map((report) => report.endedAt ?? 0)) - startedAt);
  }

  #askAll(order: EachOrder): Promise<Partial<EachReport>[]> {
    return Promise.all(this.#children.map((child) => child.ask(order)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child[Symbol.asyncDispose]();
  }
}

const perSecond = (milliseconds: number): number => (messages * 1_000) / milliseconds;

function messagesBySlot({ partitions, slots }: Omit<Manner, "order">): number[] {
  const counts = Array.from({ length: slots }, () => 0);
  for (let index = 0; index < messages; index++) {
    const slot = slotOf(keyOf(index), partitions) % slots;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return counts;
}

const prefixOf = (partitions: number): string => `parallel-${partitions}.`;

/** Events as a relay writes them, without the watermarks between them, which Confluent's would have to step over. */
async function fillTopic(bootstrap: string, partitions: number): Promise<string> {
  const cluster = new KafkaCluster({ bootstrap, prefix: prefixOf(partitions) });
  const topic = cluster.topicOf(source, "online");
  await cluster.make(topic, partitions);
  const producer = cluster.openProducer("bench");
  try {
    const events = Array.from({ length: messages }, (_, index) => ({
      ...toKafkaRecord(eventOf(index)),
      ...{ topic, partition: slotOf(keyOf(index), partitions) },
    }));
    for (let first = 0; first < messages; first += keys)
      await producer.send({ messages: events.slice(first, first + keys) });
    return topic;
  } finally {
    await producer.close(true);
    await cluster.close();
  }
}

/** The keys take turns. */
const keyOf = (index: number): string => `key-${index % keys}`;

const incarnation = "019a9f3e-7c1e-4abc-8def-0123456789ab";

/** How long a call takes is spread evenly over the messages of each key, and the same in every run. */
function eventOf(index: number): Delivered<typeof orderPlaced> {
  const key = keyOf(index);
  return {
    ...{ id: `event-${index}`, type: orderPlaced.type, source, incarnation, key },
    ...{ sequence: Math.floor(index / keys) + 1, lane: "online", time: new Date(index).toISOString() },
    cause: { correlationId: key },
    data: { orderId: key, note: String((Math.floor(index / defaultPartitions) * 7_919) % (longestCallMs + 1)) },
  };
}

interface Peer extends AsyncDisposable {
  /** Messages in a second of one round. */
  measure(): Promise<number>;
}

/** Compiled in memory when it starts. It ends when its standard input does, so it does not outlive us. */
async function startPeer(jars: string, order: readonly string[]): Promise<Peer> {
  const classes = join(await fetchJars(jars, "parallel-consumer", fileURLToPath(new URL("pom.xml", peers))), "*");
  const program = fileURLToPath(new URL("ParallelConsumerPeer.java", peers));
  // It calls its own end a fault, and says so at length.
  const logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=off";
  const child = spawn("java", [`-Xmx${heapMegabytes}m`, logging, "-cp", classes, program, ...order], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit");
  return {
    async measure() {
      child.stdin.write("\n");
      return perSecond(Number(await nextLine(lines)));
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function nextLine(lines: Interface): Promise<string> {
  const over = new AbortController();
  const closed = once(lines, "close", { signal: over.signal }).then(() => {
    throw new Error("The Parallel Consumer ended before it had answered.");
  });
  closed.catch(() => undefined);
  try {
    const [line] = await Promise.race([once(lines, "line", { signal: over.signal }), closed]);
    return line;
  } finally {
    over.abort();
  }
}
