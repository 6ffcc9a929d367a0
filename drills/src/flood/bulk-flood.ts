/** A million imported sales beside people who buy: what the people notice, with one lane and with two, and what the import pays. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Lane } from "@onsale/messaging";
import { bigint, type Database, sql } from "@onsale/postgres";
import { quantile, ratio } from "../figures.ts";
import { type DrillReport, Findings, reportOf } from "../report.ts";
import { openTheatre, productionPartitions, type Stage, type Theatre } from "../theatre/stage.ts";
import { until } from "../until.ts";
import { judgePromises } from "./promises.ts";
import { measureShards } from "./shards.ts";
import type { Heard, HopTable } from "./subscriber.ts";
import { Player } from "./troupe.ts";

export interface BulkFloodOptions {
  /** An administrator's, of the PostgreSQL server to play on. */
  readonly serverUrl: string;
  /** Imported sales of each flood. */
  readonly events: number;
  /** Milliseconds of each quiet measurement. Default 20,000: ten thousand sales, of which a hundred lie beyond the p99. */
  readonly quietMs?: number;
  readonly say: (words: string) => void;
}

const onlinePerSecond = 500;

/** Before anything is measured: compilers, caches and connections get what they need of it. */
const warmUpSales = 20_000;
const warmUpOf = ({ events }: BulkFloodOptions): number => Math.min(events, warmUpSales);

/** Longer than the slowest machine takes for a million, and an end for one that hangs. */
const floodMs = 45 * 60_000;

export async function drillBulkFlood(options: BulkFloodOptions): Promise<DrillReport> {
  const { serverUrl, events, say } = options;
  const startedAt = performance.now();
  const findings = new Findings();
  await using theatre = await openTheatre(serverUrl);

  const shared = await onStage({ theatre, findings, warmUpSales: warmUpOf(options) }, async (run) => {
    return await run.flooded("online", events, { beside: true });
  });
  say(inWords("one shared lane", shared));

  const { quiet, alone, lanes } = await onStage({ theatre, findings, warmUpSales: warmUpOf(options) }, async (run) => {
    const before = await run.quietly(quietMsOf(options));
    const alone = await run.flooded("bulk", events, { beside: false });
    const lanes = await run.flooded("bulk", events, { beside: true });
    const after = await run.quietly(quietMsOf(options));
    return { quiet: [...before, ...after], alone, lanes };
  });
  say(inWords("two lanes", lanes));

  const shards = await measureShards(theatre, say);
  const figures = {
    events,
    quietP50Ms: quantile(quiet, 0.5),
    quietP99Ms: quantile(quiet, 0.99),
    sharedP99Ms: quantile(shared.onlineMs, 0.99),
    lanesP50Ms: quantile(lanes.onlineMs, 0.5),
    lanesP99Ms: quantile(lanes.onlineMs, 0.99),
    ...{ bulkAlonePerS: alone.bulkPerS, bulkBesidePerS: lanes.bulkPerS, sharedBulkPerS: shared.bulkPerS },
    onlineSales: { quiet: quiet.length, shared: shared.onlineMs.length, lanes: lanes.onlineMs.length },
    hops: { shared: shared.hops, lanes: lanes.hops },
    shardsPerS: shards.perSecond,
    ratios: {
      online: ratio(quantile(lanes.onlineMs, 0.99), quantile(quiet, 0.99)),
      bulk: ratio(lanes.bulkPerS, alone.bulkPerS),
      fourShards: ratio(shards.perSecond[4], shards.perSecond[1]),
    },
  };
  findings.add(judgePromises(figures));
  findings.add([shards.stalled]);
  return reportOf("bulk-flood", { invariants: findings.invariants, figures, startedAt });
}

const quietMsOf = ({ quietMs = 20_000 }: BulkFloodOptions): number => quietMs;

interface Flood {
  /** Of the sales that people made between the import's begin and its last effect. */
  readonly onlineMs: readonly number[];
  readonly bulkPerS: number;
  readonly hops: Heard["hops"];
}

/** Plays a part of the drill in a database of its own, and compares there what was heard with what was sold. */
async function onStage<Result>(
  { theatre, findings, warmUpSales }: { theatre: Theatre; findings: Findings; warmUpSales: number },
  part: (run: Run) => Promise<Result>,
): Promise<Result> {
  await using stage = await theatre.stage();
  await stage.alter(productionPartitions);
  await using subscriber = new Player();
  await using people = new Player();
  await using importer = new Player();
  await subscriber.ask("subscribe", { url: stage.url });
  const run = new Run(stage, { subscriber, people, importer });
  await run.flooded("bulk", warmUpSales, { beside: true });
  const result = await part(run);
  await until(async () => (await countHeard(stage.admin)).missing === 0, floodMs).catch(() => undefined);
  await subscriber.ask("unsubscribe", undefined);
  const { sold, missing, doubled } = await countHeard(stage.admin);
  findings.note("none-lost", sold, missing > 0 ? [`${missing} sales were never heard of`] : []);
  findings.note("one-effect", sold, doubled > 0 ? [`${doubled} sales were heard of twice`] : []);
  findings.note(
    "load-as-intended",
    run.sold,
    run.latestStartMs > lateStartMs ? [`a sale was begun ${Math.round(run.latestStartMs)} ms after it was due`] : [],
  );
  return result;
}

/** A generator of load that is later than this measures itself. What it is late counts in every latency all the same. */
const lateStartMs = 1_000;

class Run {
  readonly #stage: Stage;
  readonly #players: Readonly<Record<"subscriber" | "people" | "importer", Player>>;
  #parts = 0;
  sold = 0;
  latestStartMs = 0;

  constructor(stage: Stage, players: Readonly<Record<"subscriber" | "people" | "importer", Player>>) {
    this.#stage = stage;
    this.#players = players;
  }

  /** Sells online and nothing else; gives the latencies. */
  async quietly(milliseconds: number): Promise<readonly number[]> {
    await this.#beginSelling();
    await sleep(milliseconds);
    await this.#endSelling();
    const { online } = await this.#players.subscriber.ask("take-heard", undefined);
    return online.map((sale) => sale.milliseconds);
  }

  /** Imports so many sales, beside people who buy or alone, until the last of them has had its effect. */
  async flooded(lane: Lane, sales: number, { beside }: { beside: boolean }): Promise<Flood> {
    const { subscriber, importer } = this.#players;
    if (beside) await this.#beginSelling();
    const beganAtMs = Date.now();
    await importer.ask("import", { url: this.#stage.url, lane, sales, name: `import-${++this.#parts}` });
    await until(async () => (await subscriber.ask("bulk-heard", undefined)) >= sales, floodMs);
    if (beside) await this.#endSelling();
    const { online, hops, lastBulkAtMs } = await subscriber.ask("take-heard", undefined);
    return {
      onlineMs: online.filter(({ dueAtMs }) => dueAtMs <= lastBulkAtMs).map(({ milliseconds }) => milliseconds),
      bulkPerS: Math.round((sales * 1_000) / (lastBulkAtMs - beganAtMs)),
      hops,
    };
  }

  async #beginSelling(): Promise<void> {
    const name = `online-${++this.#parts}`;
    await this.#players.people.ask("begin-selling", { url: this.#stage.url, perSecond: onlinePerSecond, name });
  }

  /** Ends it, and waits until the last sale has been heard of. */
  async #endSelling(): Promise<void> {
    const { sales, latestStartMs } = await this.#players.people.ask("end-selling", undefined);
    this.sold += sales;
    this.latestStartMs = Math.max(this.latestStartMs, latestStartMs);
    await until(async () => (await countHeard(this.#stage.admin)).missing === 0, floodMs);
  }
}

const countSql = sql("drills.count-heard", { takes: [], gives: { sold: bigint, missing: bigint, doubled: bigint } })`
  select (select count(*) from source.sale) as sold,
    (select count(*) from source.sale where not exists (select from sink.heard where heard.id = sale.id)) as missing,
    (select count(*) from (select from sink.heard group by id having count(*) > 1) as again) as doubled`;

async function countHeard(admin: Database): Promise<{ sold: number; missing: number; doubled: number }> {
  const [row] = await admin.query(countSql, []);
  if (!row) throw new Error("The count gave no row.");
  return row;
}

function inWords(title: string, { onlineMs, bulkPerS, hops }: Flood): string {
  const p99 = quantile(onlineMs, 0.99);
  const lines = Object.entries(hops).flatMap(([lane, table]) => tableOf(lane, table));
  return [`${title}: online p99 ${p99} ms, import ${bulkPerS}/s`, ...lines].join("\n");
}

const tableOf = (lane: string, { rows, bottleneck }: HopTable): string[] => [
  `  ${lane} lane`.padEnd(24) + "p50 ms".padStart(10) + "p99 ms".padStart(10),
  ...rows.map(
    ({ hop, p50Ms, p99Ms }) =>
      `    ${hop}`.padEnd(24) +
      p50Ms.toFixed(1).padStart(10) +
      p99Ms.toFixed(1).padStart(10) +
      (hop === bottleneck ? "  <- waits longest here" : ""),
  ),
];
