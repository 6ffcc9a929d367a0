/** Transactions that somebody forgot, here and in another database, and a report's snapshot: who waits for them, and what they leave behind. */

import { randomBytes } from "node:crypto";
import { bigint, sql, text } from "@onsale/postgres";
import pg from "pg";
import { beyond, quantile, ratio } from "../figures.ts";
import { type DrillReport, Findings, type Invariant, reportOf } from "../report.ts";
import { openTheatre, type Stage } from "../theatre/stage.ts";
import { type Work, WorkWatch } from "./server-work.ts";
import { StalledError, SteadyShop } from "./steady-shop.ts";

export interface OldTransactionsOptions {
  /** An administrator's, of the PostgreSQL server to play on. */
  readonly serverUrl: string;
  /** For how long the transactions stay open, in milliseconds. */
  readonly heldMs: number;
  readonly say: (words: string) => void;
}

/** What the p99 may be while they are open, over the quiet one. */
const heldAtMost = 2;

/** What the kit's tables may take for each event meanwhile: an event in the outbox takes as much. */
const bytesPerEventAtMost = 1_000;

/** Of the time that they are held, in one part. */
const longestPartMs = 30_000;

/** At the end of the time that they are held, where what grows worse with it shows. */
const partsJudged = 4;

/** Of a part: how long changes took, what they cost, and what is left behind. */
interface Part {
  readonly latencies: readonly number[];
  readonly told: Readonly<Record<string, unknown>>;
}

/**
 * Half of the quiet time lies before, half behind: a disk is slower at one time than at another, for minutes, and what is
 * compared is as long on both sides.
 */
export async function drillOldTransactions({ serverUrl, heldMs, say }: OldTransactionsOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(serverUrl);
  await using stage = await theatre.stage();
  await stage.alter(timeSyncs);
  await using shop = new SteadyShop(stage);
  const partMs = Math.min(heldMs, longestPartMs);
  await shop.open(Math.min(partMs, 3_000));
  const watch = await WorkWatch.begin(stage.admin);
  const play = async (state: "quiet" | "held"): Promise<Part> => {
    const part = partOf(state, await shop.part(partMs), await watch.since(), await watch.deadVersions());
    say(JSON.stringify(part.told));
    return part;
  };
  const quietParts = Math.ceil(Math.min(partsJudged, heldMs / partMs) / 2);
  const playQuiet = async (): Promise<Part[]> => {
    const parts: Part[] = [];
    for (let part = 0; part < quietParts; part++) parts.push(await play("quiet"));
    return parts;
  };
  const quietBefore = await playQuiet();
  const before = await tablesOf(stage.admin);
  const parts: Part[] = [];
  const findings = new Findings();
  {
    await using _held = await holdTransactions(stage.url);
    const until = performance.now() + heldMs;
    try {
      // A part ends only when every change of it is applied.
      do parts.push(await play("held"));
      while (performance.now() < until);
    } catch (error) {
      if (!(error instanceof StalledError)) throw error;
      findings.note("readers-go-on", 1, [error.message]);
    } finally {
      findings.note("readers-go-on", parts.length);
    }
  }
  const after = await tablesOf(stage.admin);
  const quietAfter = await playQuiet();
  const held = latenciesOf(parts);
  const judged = quantile(latenciesOf(parts.slice(-partsJudged)), 0.99);
  const quiet = quantile(latenciesOf([...quietBefore, ...quietAfter]), 0.99);
  const figures = {
    ...{ heldMs, events: held.length, quietP99Ms: quiet, heldP99Ms: quantile(held, 0.99) },
    judged: { parts: Math.min(partsJudged, parts.length), p99Ms: judged, timesQuiet: ratio(judged, quiet) },
    grownBytes: growth(before, after),
    parts: [...quietBefore, ...parts, ...quietAfter].map(({ told }) => told),
  };
  findings.add(await shop.judge());
  findings.add([
    readersKeepTheirPace(figures.judged.timesQuiet, held.length),
    tablesStaySmall(figures.grownBytes, held.length),
  ]);
  return reportOf("old-transactions", { invariants: findings.invariants, figures, startedAt });
}

/** The server measures how long its log takes to become durable only where it is told to. */
const timeSyncs = `do $$ begin execute format('alter database %I set track_wal_io_timing = on', current_database()); end $$`;

const latenciesOf = (parts: readonly Part[]): number[] => parts.flatMap(({ latencies }) => latencies);

function partOf(
  state: "quiet" | "held",
  latencies: readonly number[],
  work: Work,
  deadVersions: Readonly<Record<string, number>>,
): Part {
  const each = (total: number | undefined): number | undefined => ratio(total, latencies.length);
  const told = {
    ...{ state, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) },
    ...{ serverMsPerEvent: each(work.serverMs), ownMsPerEvent: each(work.ownMs) },
    ...{ syncs: work.syncs, msPerSync: ratio(work.syncMs, work.syncs) },
    ...{ checkpoints: work.checkpoints, checkpointSyncMs: work.checkpointSyncMs },
    deadVersions,
  };
  return { latencies, told };
}

/** Exported for its test. */
export const readersKeepTheirPace = (times: number | undefined, checked: number): Invariant => ({
  id: "readers-keep-their-pace",
  checked,
  violations: beyond("the p99 of the last parts in which they were held", times, { most: heldAtMost }),
});

/** Exported for its test. */
export const tablesStaySmall = (grownBytes: Readonly<Record<string, number>>, events: number): Invariant => {
  const bytes = Object.values(grownBytes).reduce((sum, grown) => sum + grown, 0);
  return {
    id: "tables-stay-small",
    checked: events,
    violations:
      events === 0 || bytes <= events * bytesPerEventAtMost
        ? []
        : [`they grew by ${Math.round(bytes / events)} bytes an event; promised: at most ${bytesPerEventAtMost}`],
  };
};

/** An open transaction with an id here, one in another database, and a snapshot here that is older than all that comes. */
async function holdTransactions(url: string): Promise<AsyncDisposable> {
  const other = `drill_other_${randomBytes(6).toString("hex")}`;
  const administrator = await connected(url);
  await administrator.query(`create database ${other}`);
  const elsewhere = new URL(url);
  elsewhere.pathname = `/${other}`;
  const holders = [await connected(url), await connected(elsewhere.href), await connected(url)] as const;
  const [here, there, report] = holders;
  for (const writer of [here, there]) await writer.query("begin; select pg_current_xact_id()");
  await report.query("begin isolation level repeatable read; select 1");
  return {
    async [Symbol.asyncDispose]() {
      for (const holder of holders) await holder.end();
      await administrator.query(`drop database ${other} with (force)`);
      await administrator.end();
    },
  };
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: "drill: forgotten" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

// Not the drill's own, which only grow, and not the outbox, which grows by what is told until its partitions leave.
const sizesSql = sql("drills.table-sizes", { takes: [], gives: { name: text, bytes: bigint } })`
  select nspname || '.' || relname as name, pg_total_relation_size(pg_class.oid) as bytes
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace
  where nspname in ('source', 'sink') and relkind = 'r' and relname !~ '^outbox_(online|bulk)'
    and relname not in ('account', 'ledger', 'sale', 'effect', 'fired', 'heard')`;

type Sizes = Readonly<Record<string, number>>;

async function tablesOf(admin: Stage["admin"]): Promise<Sizes> {
  return Object.fromEntries((await admin.query(sizesSql, [])).map(({ name, bytes }) => [name, bytes]));
}

/** Of the tables that grew. */
const growth = (before: Sizes, after: Sizes): Record<string, number> =>
  Object.fromEntries(
    Object.entries(after)
      .map(([name, bytes]) => [name, bytes - (before[name] ?? 0)] as const)
      .filter(([, grown]) => grown > 0),
  );
