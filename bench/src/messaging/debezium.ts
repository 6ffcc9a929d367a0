/**
 * `Debezium rate`, `Debezium p50`, `Debezium p99`: our relay beside Debezium's outbox event router in a real Kafka Connect,
 * both reading the same outbox to a topic of their own on the same broker, one at a time.
 */

import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type ConnectServer, outboxConnector, type Settings, startConnect } from "@onsale/kafka-server/connect";
import { defaultPartitions, KafkaCluster } from "@onsale/messaging/kafka";
import { withClient } from "../plain-order.ts";
import { type BenchRow, median, type Pair, pairedRow, round } from "../report.ts";
import { fillOutbox } from "./backlog.ts";
import { Child } from "./child.ts";
import { type Ground, source } from "./ground.ts";
import { between, type Quantiles, quantilesOf } from "./moments.ts";
import type { OpenLoopOrder, OpenLoopReport } from "./open-loop-process.ts";
import type { PartOptions, PartReport } from "./part.ts";
import type { RelayOrder } from "./relay-process.ts";
import { type Arrivals, TopicWatch } from "./topic-watch.ts";

/** Ours over theirs for the rate, theirs over ours for the latencies. */
const goals = { rate: 3, latency: 1 };
const payloads = [200, 1_000] as const;
/** Of the load under which latency is measured. */
const loadPayloadBytes = 200;
const slot = "debezium_bench";
/** How our relay reads the outbox: as it does unless it is told otherwise. */
const reader = "snapshot";

/** What makes Debezium quicker than by its defaults. */
const theirSettings: Settings = {
  "slot.name": slot,
  // Half a second by default.
  "poll.interval.ms": "10",
  "max.batch.size": "4096",
  "max.queue.size": "16384",
  // The payload goes through as the text that it is; expanded it would be parsed and written anew.
  "transforms.outbox.table.expand.json.payload": "false",
};
const theirWorker: Settings = {
  "value.converter": "org.apache.kafka.connect.storage.StringConverter",
  // Kafka's client waits 5 ms by default for more to send.
  "producer.linger.ms": "0",
  "producer.batch.size": "262144",
};
const heapMegabytes = 1_024;

/** One who brings the outbox to a topic. */
interface Side {
  readonly name: string;
  readonly watch: TopicWatch;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Events of the outbox that the topic already has, or will never have. */
  heard: number;
}

/** `refused`: orders of the load that this machine could not place. */
type Latency = Quantiles & Pick<OpenLoopReport, "refused">;

interface Measured {
  readonly backlogPerSecond: Readonly<Record<number, number>>;
  readonly latency: Latency;
}

export async function benchDebezium(ground: Ground, options: PartOptions): Promise<PartReport> {
  const { bootstrap } = await ground.broker();
  const [oursCluster, theirsCluster] = [
    new KafkaCluster({ bootstrap, prefix: "ours." }),
    new KafkaCluster({ bootstrap, prefix: "debezium." }),
  ];
  try {
    await using connect = await startDebezium(ground, theirsCluster, bootstrap);
    await using relay = new Child<object>("./relay-process.ts");
    await using producer = new Child<OpenLoopReport>("./open-loop-process.ts");
    const theirs = await sideOfDebezium(ground, connect, theirsCluster);
    const ours = sideOfRelay(relay, oursCluster, {
      // As the peer, and as to a server on another machine.
      ...{ run: true, url: ground.tcpUrl, bootstrap },
      prefix: "ours.",
      reader,
    });
    await using _theirWatch = theirs.watch;
    await using _ourWatch = ours.watch;
    const run = new Run(ground.url, producer, options);
    await run.warm(theirs);
    await run.warm(ours);
    const pairs = [];
    for (let pair = 1; pair <= options.pairs; pair++) {
      pairs.push(await run.pair({ theirs, ours }, pair % 2 === 1 ? ["theirs", "ours"] : ["ours", "theirs"]));
      options.say(`Debezium, pair ${pair} of ${options.pairs}: ${inWords(pairs.at(-1))}`);
    }
    return report(pairs, options);
  } finally {
    await Promise.all([oursCluster.close(), theirsCluster.close()]);
  }
}

type SideName = "theirs" | "ours";
type PairOfSides = Readonly<Record<SideName, Measured>>;

class Run {
  readonly #url: string;
  readonly #producer: Child<OpenLoopReport>;
  readonly #options: PartOptions;

  constructor(url: string, producer: Child<OpenLoopReport>, options: PartOptions) {
    this.#url = url;
    this.#producer = producer;
    this.#options = options;
  }

  /** Backlogs and the load in turn, for as long as a virtual machine takes to compile what it runs often. */
  async warm(side: Side): Promise<void> {
    const { peerWarmUpSeconds, events, say } = this.#options;
    say(`warming ${side.name} for ${peerWarmUpSeconds} s`);
    const end = performance.now() + peerWarmUpSeconds * 1_000;
    do {
      await fillOutbox(this.#url, { events: Math.min(events, 100_000), payloadBytes: 200 });
      await this.#whileRunning(side, async () => {
        await this.#drain(side);
        await this.#loadFor(side, Math.min(5, Math.max(1, peerWarmUpSeconds)));
      });
    } while (performance.now() < end);
  }

  /** `order`: who is measured first, which changes from pair to pair. */
  async pair(sides: Readonly<Record<SideName, Side>>, order: readonly SideName[]): Promise<PairOfSides> {
    const { goOn, events, seconds } = this.#options;
    const rates: Record<SideName, Record<number, number>> = { theirs: {}, ours: {} };
    for (const payloadBytes of payloads) {
      goOn();
      await fillOutbox(this.#url, { events: events / payloads.length, payloadBytes });
      for (const name of order) {
        const side = sides[name];
        await allOnDisk();
        rates[name][payloadBytes] = await this.#whileRunning(side, () => this.#drain(side));
      }
    }
    const latencies: Partial<Record<SideName, Latency>> = {};
    for (const name of order) {
      await allOnDisk();
      latencies[name] = await this.#latencyOf(sides[name], seconds);
    }
    const measuredOf = (name: SideName): Measured => {
      const latency = latencies[name];
      if (!latency) throw new Error(`The latency of ${name} was not measured.`);
      return { backlogPerSecond: rates[name], latency };
    };
    return { theirs: measuredOf("theirs"), ours: measuredOf("ours") };
  }

  #latencyOf(side: Side, seconds: number): Promise<Latency> {
    return this.#whileRunning(side, async () => {
      await this.#drain(side);
      // What was started anew is not judged by its first second.
      await this.#loadFor(side, 1);
      return await this.#loadFor(side, seconds);
    });
  }

  async #whileRunning<Result>(side: Side, measure: () => Promise<Result>): Promise<Result> {
    await side.start();
    const measured = await measure();
    await side.stop();
    return measured;
  }

  /** Everything that lies in the outbox and not yet in the topic; gives events a second, by the broker's own clock. */
  async #drain(side: Side): Promise<number> {
    const published = await countPublished(this.#url);
    const missing = published - side.heard;
    if (missing === 0) return 0;
    await side.watch.untilAppended(missing);
    const { firstAppendedMs, lastAppendedMs } = await side.watch.read(() => missing);
    side.heard = published;
    return round((missing * 1_000) / Math.max(1, lastAppendedMs - firstAppendedMs), 0);
  }

  async #loadFor(side: Side, seconds: number): Promise<Latency> {
    const { perSecond } = this.#options;
    let expected = perSecond * seconds;
    const load = async (): Promise<OpenLoopReport> => {
      const order: OpenLoopOrder = { url: this.#url, seconds, perSecond, payloadBytes: loadPayloadBytes };
      const committed = await this.#producer.ask(order);
      expected = committed.orderIds.length;
      return committed;
    };
    const [committed, arrivals] = await Promise.all([load(), side.watch.read(() => expected)]);
    side.heard += expected;
    return { ...quantilesOf(between(committed, arrivalsAsMoments(arrivals))), refused: committed.refused };
  }
}

/**
 * Waits until nothing of what was written before is still to be brought to the disk: it would be while the next is measured,
 * so each would pay for the one before.
 */
const allOnDisk = async (): Promise<void> => void (await promisify(execFile)("sync"));

const arrivalsAsMoments = ({ at }: Arrivals) => ({ orderIds: [...at.keys()], at: [...at.values()] });

const countPublished = (url: string): Promise<number> =>
  withClient(url, async (client) => {
    const { rows } = await client.query(`select count(*)::int as count from ${source}.outbox_online`);
    return rows[0].count;
  });

function sideOfRelay(relay: Child<object>, cluster: KafkaCluster, order: RelayOrder): Side {
  return {
    name: "our relay",
    watch: new TopicWatch(cluster, cluster.topicOf(source, "online")),
    start: async () => void (await relay.ask(order)),
    stop: async () => void (await relay.ask({ run: false } satisfies RelayOrder)),
    heard: 0,
  };
}

async function startDebezium(
  ground: Ground,
  cluster: KafkaCluster,
  bootstrap: string,
): Promise<ConnectServer & AsyncDisposable> {
  const topic = cluster.topicOf(source, "online");
  await cluster.make(topic, defaultPartitions);
  const outbox = outboxConnector({
    databaseUrl: ground.tcpUrl,
    source,
    lane: "online",
    topic,
    settings: theirSettings,
  });
  const connect = await startConnect({
    ...{ directory: join(ground.directory, "connect"), jars: ground.jars, bootstrap, heapMegabytes },
    ...{ connectors: { outbox }, worker: theirWorker },
  });
  return { ...connect, [Symbol.asyncDispose]: () => connect.kill() };
}

/** Stopped: its virtual machine stays warm, its slot stays where it is. */
async function sideOfDebezium({ url }: Ground, connect: ConnectServer, cluster: KafkaCluster): Promise<Side> {
  await untilSlot(url, true);
  const side: Side = {
    name: "Debezium",
    watch: new TopicWatch(cluster, cluster.topicOf(source, "online")),
    start: () => tell(connect, "resume"),
    async stop() {
      await tell(connect, "stop");
      await untilSlot(url, false);
    },
    heard: await countPublished(url),
  };
  await side.stop();
  return side;
}

async function tell(connect: ConnectServer, word: "stop" | "resume"): Promise<void> {
  const { ok, status } = await fetch(`${connect.url}/connectors/outbox/${word}`, { method: "PUT" });
  if (!ok) throw new Error(`Kafka Connect answered ${status} to ${word}.`);
}

async function untilSlot(url: string, isActive: boolean): Promise<void> {
  await withClient(url, async (client) => {
    for (;;) {
      const { rows } = await client.query("select active from pg_replication_slots where slot_name = $1", [slot]);
      if (rows[0]?.active === isActive) return;
      await sleep(50);
    }
  });
}

function report(pairs: readonly PairOfSides[], { perSecond }: PartOptions): PartReport {
  return {
    rows: [rateRow(pairs), latencyRow("p50Ms", pairs), latencyRow("p99Ms", pairs)],
    details: {
      clock:
        "rate: the broker's, from the first to the last record; latency: from sending COMMIT until the topic's reader has it",
      ...{
        load: { perSecond, payloadBytes: loadPayloadBytes },
        pairs,
        relay: { reader, partitions: defaultPartitions },
      },
      debezium: { ...theirSettings, ...theirWorker, heapMegabytes },
    },
  };
}

/** Of the payload at which we are the least ahead. */
function rateRow(pairs: readonly PairOfSides[]): BenchRow {
  const rows = payloads.map((payloadBytes) => {
    const rates: Pair[] = pairs.map(({ theirs, ours }) => ({
      value: ours.backlogPerSecond[payloadBytes] ?? 0,
      limit: theirs.backlogPerSecond[payloadBytes] ?? 0,
    }));
    return pairedRow("Debezium rate", rates, {
      unit: "events/s",
      limit: `Debezium, ${payloadBytes} B`,
      goal: goals.rate,
    });
  });
  const [least] = rows.sort((one, other) => one.ratio - other.ratio);
  if (!least) throw new Error("Nothing was measured.");
  return least;
}

function latencyRow(quantile: "p50Ms" | "p99Ms", pairs: readonly PairOfSides[]): BenchRow {
  const ratio = median(pairs.map(({ theirs, ours }) => theirs.latency[quantile] / ours.latency[quantile]));
  return {
    row: `Debezium ${quantile.slice(0, 3)}`,
    value: round(median(pairs.map(({ ours }) => ours.latency[quantile]))),
    unit: "ms",
    limit: { name: "Debezium", value: round(median(pairs.map(({ theirs }) => theirs.latency[quantile]))) },
    ratio: round(ratio, 3),
    goal: goals.latency,
    met: ratio >= goals.latency && pairs.every(({ ours }) => ours.latency.refused === 0),
  };
}

function inWords(pair: PairOfSides | undefined): string {
  const words = ({ backlogPerSecond, latency }: Measured): string =>
    `${payloads.map((bytes) => `${backlogPerSecond[bytes]} events/s of ${bytes} B`).join(", ")}, p50 ${latency.p50Ms} ms, p99 ${latency.p99Ms} ms`;
  return pair ? `ours ${words(pair.ours)}; theirs ${words(pair.theirs)}` : "";
}
