/** Transactions that somebody forgot, here and in another database, and a report's snapshot: who waits for them, and what they leave behind. */

import { randomBytes } from "node:crypto";
import { bigint, sql, text } from "@onsale/postgres";
import pg from "pg";
import { beyond, quantile, ratio } from "./figures.ts";
import { type DrillReport, Findings, type Invariant, reportOf } from "./report.ts";
import { openTheatre, type ServerChoice, type Stage } from "./stage.ts";
import { StalledError, SteadyShop } from "./steady-shop.ts";

export interface OldTransactionsOptions {
  readonly server: ServerChoice;
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

export async function drillOldTransactions({ server, heldMs, say }: OldTransactionsOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(server);
  await using stage = await theatre.stage();
  await using shop = new SteadyShop(stage);
  const partMs = Math.min(heldMs, longestPartMs);
  await shop.open(Math.min(partMs, 3_000));
  const quiet = await shop.part(partMs);
  const before = await tablesOf(stage.admin);
  const parts: (readonly number[])[] = [];
  const findings = new Findings();
  {
    await using _held = await holdTransactions(stage.url);
    const until = performance.now() + heldMs;
    try {
      do {
        // Ends only when every change of it is applied.
        parts.push(await shop.part(partMs));
        say(`p99 ${quantile(parts.at(-1) ?? [], 0.99)} ms, quiet ${quantile(quiet, 0.99)} ms`);
      } while (performance.now() < until);
    } catch (error) {
      if (!(error instanceof StalledError)) throw error;
      findings.note("readers-go-on", 1, [error.message]);
    } finally {
      findings.note("readers-go-on", parts.length);
    }
  }
  const after = await tablesOf(stage.admin);
  const held = parts.flat();
  const last = parts.at(-1) ?? [];
  const figures = {
    ...{ heldMs, events: held.length, quietP99Ms: quantile(quiet, 0.99), heldP99Ms: quantile(held, 0.99) },
    // What grows worse with time shows at the end.
    lastPart: { p99Ms: quantile(last, 0.99), timesQuiet: ratio(quantile(last, 0.99), quantile(quiet, 0.99)) },
    grownBytes: growth(before, after),
  };
  findings.add(await shop.judge());
  findings.add([
    readersKeepTheirPace(figures.lastPart.timesQuiet, held.length),
    tablesStaySmall(figures.grownBytes, held.length),
  ]);
  return reportOf("old-transactions", { invariants: findings.invariants, figures, startedAt });
}

/** Exported for its test. */
export const readersKeepTheirPace = (times: number | undefined, checked: number): Invariant => ({
  id: "readers-keep-their-pace",
  checked,
  violations: beyond("the p99 at the end of the time that they were held", times, { most: heldAtMost }),
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
