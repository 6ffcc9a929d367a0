/** `Parallel Consumer`: messages a second with a call of 0 to 5 ms each, in order of each key, ours over Confluent's. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fetchJars, whatKafkaLacks } from "@onsale/kafka-server";
import { type Delivered, toKafkaRecord } from "@onsale/messaging";
import { defaultPartitions, KafkaCluster, slotOf } from "@onsale/messaging/kafka";
import { pairedRow, round } from "../report.ts";
import { Child } from "./child.ts";
import type { EachOrder, EachReport } from "./each-process.ts";
import { type Ground, source } from "./ground.ts";
import { orderPlaced } from "./order-event.ts";
import type { PartOptions, PartReport } from "./part.ts";

/** More than theirs. */
const goal = 1;
const messages = 10_000;
const keys = 1_000;
/** Calls at once, on both sides. */
const concurrency = 100;
const longestCallMs = 5;
const heapMegabytes = 1_024;
const prefix = "parallel.";
/** Rounds of ours before it is measured: V8 compiles until the sixth. Theirs runs for as long as was asked for. */
const warmRounds = 10;

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
  const { pairs, say, goOn } = options;
  const { bootstrap } = await ground.broker();
  const topic = await fillTopic(bootstrap);
  await using theirs = await startPeer(ground.jars, [bootstrap, topic, String(messages), String(concurrency)]);
  await using each = new Child<EachReport>("./each-process.ts");
  const order: EachOrder = { url: ground.url, bootstrap, prefix, messages, concurrency };
  const ours = async (): Promise<number> => perSecond((await each.ask(order)).milliseconds);
  await warm(theirs, ours, options);
  const measured = [];
  for (let pair = 1; pair <= pairs; pair++) {
    goOn();
    const limit = await theirs.measure();
    const value = await ours();
    measured.push({ value: round(value), limit: round(limit) });
    say(`Parallel Consumer, pair ${pair} of ${pairs}: ours ${round(value)} messages/s, theirs ${round(limit)}`);
  }
  return {
    rows: [pairedRow("Parallel Consumer", measured, { unit: "messages/s", limit: "Confluent's", goal })],
    details: {
      ...{ messages, keys, concurrency, longestCallMs, partitions: defaultPartitions, pairs: measured },
      theirs: { ordering: "KEY", commitMode: "PERIODIC_CONSUMER_ASYNCHRONOUS", heapMegabytes },
    },
  };
}

async function warm(theirs: Peer, ours: () => Promise<number>, { peerWarmUpSeconds, say }: PartOptions): Promise<void> {
  say(`warming Parallel Consumer for ${peerWarmUpSeconds} s`);
  const end = performance.now() + peerWarmUpSeconds * 1_000;
  do await theirs.measure();
  while (performance.now() < end);
  for (let time = 0; time < warmRounds; time++) await ours();
}

const perSecond = (milliseconds: number): number => (messages * 1_000) / milliseconds;

/** Events as a relay writes them, without the watermarks between them, which Confluent's would have to step over. */
async function fillTopic(bootstrap: string): Promise<string> {
  const cluster = new KafkaCluster({ bootstrap, prefix });
  const topic = cluster.topicOf(source, "online");
  await cluster.make(topic, defaultPartitions);
  const producer = cluster.openProducer("bench");
  try {
    const events = Array.from({ length: messages }, (_, index) => ({
      ...toKafkaRecord(eventOf(index)),
      ...{ topic, partition: slotOf(keyOf(index), defaultPartitions) },
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

/** How long a call takes is spread evenly, and the same in every run. */
function eventOf(index: number): Delivered<typeof orderPlaced> {
  const key = keyOf(index);
  return {
    ...{ id: `event-${index}`, type: orderPlaced.type, source, incarnation, key },
    ...{ sequence: Math.floor(index / keys) + 1, lane: "online", time: new Date(index).toISOString() },
    cause: { correlationId: key },
    data: { orderId: key, note: String((index * 7_919) % (longestCallMs + 1)) },
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
