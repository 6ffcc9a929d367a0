/** `onsale bench orders`: whole orders per second, as many as the plain transaction of PostgreSQL, or how many fewer. */

import { fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { LoadOrder, LoadReport } from "./order-load.ts";
import { hasPgbench, type PlainOrder, preparePlainOrder, readSettings, withClient } from "./plain-order.ts";
import { cpuSecondsBelow, cpuShares } from "./processes.ts";
import { type BenchReport, type BenchShop, higherIsBetter, machine, median, round } from "./report.ts";
import { logIn, seedProducts } from "./shop-operator.ts";

export interface OrdersBenchOptions {
  /** Seconds that orders are counted in each pair, after the warm-up. */
  readonly seconds: number;
  /** Measurements of ours and of the limit, in turn. */
  readonly pairs: number;
  readonly say: (words: string) => void;
}

const products = 1_000;
const warmUpSeconds = 5;
/** Orders per request of the load, and orders accepted and not yet ended. */
const batch = 250;
const window = 4_000;
/** Whole orders by card over the plain transaction: what the saga must reach. */
const goal = 0.5;

/** One measurement of ours. */
interface Ours {
  readonly confirmedPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly logSyncs: number;
  readonly cpu: Readonly<Record<string, number>>;
  readonly refused: number;
}

export async function benchOrders(shop: BenchShop, { seconds, pairs, say }: OrdersBenchOptions): Promise<BenchReport> {
  const settings = await withClient(shop.databaseUrl, readSettings);
  if (!(await hasPgbench())) {
    say("pgbench is not on this machine, so there is no limit to compare with: the row `card` is absent.");
    return { name: "orders", machine: machine(), rows: [], details: { settings, absent: "pgbench" } };
  }
  const operator = await logIn(shop);
  say(`seeding ${products} products`);
  const skus = await seedProducts(operator, products);
  say("searching the plain transaction's best number of clients");
  const plain = await preparePlainOrder(shop.databaseUrl, { seconds: Math.min(10, seconds), skus: products });
  const ours: Ours[] = [];
  const limits: number[] = [];
  for (let pair = 1; pair <= pairs; pair++) {
    limits.push(await plain.measure(Math.min(15, seconds)));
    ours.push(
      await measureOurs(shop, { url: shop.url, accessToken: operator.accessToken, skus, batch, window }, seconds),
    );
    say(
      `pair ${pair} of ${pairs}: ${round(ours.at(-1)?.confirmedPerSecond ?? 0)} orders/s, plain ${round(limits.at(-1) ?? 0)} transactions/s`,
    );
  }
  await plain.drop();
  return report({ ours, limits, plain, settings });
}

function report({
  ours,
  limits,
  plain,
  settings,
}: {
  ours: readonly Ours[];
  limits: readonly number[];
  plain: PlainOrder;
  settings: unknown;
}): BenchReport {
  const value = median(ours.map(({ confirmedPerSecond }) => confirmedPerSecond));
  const limit = { name: `plain transaction, pgbench -M prepared, ${plain.clients} clients`, value: median(limits) };
  return {
    name: "orders",
    machine: machine(),
    rows: [higherIsBetter("card", value, "orders/s", limit, goal)],
    details: {
      acceptedToConfirmedMs: {
        p50: round(median(ours.map(({ p50Ms }) => p50Ms))),
        p99: round(median(ours.map(({ p99Ms }) => p99Ms))),
      },
      pairs: ours.map((one, index) => ({
        ...one,
        plainPerSecond: round(limits[index] ?? 0),
        ratio: round(one.confirmedPerSecond / (limits[index] ?? 1), 3),
      })),
      plainByClients: plain.curve,
      settings,
    },
  };
}

async function measureOurs(shop: BenchShop, order: LoadOrder, seconds: number): Promise<Ours> {
  const load = startLoad(order);
  try {
    await sleep(warmUpSeconds * 1_000);
    return await withClient(shop.databaseUrl, async (client) => {
      const before = await readCounts(client);
      const cpuBefore = cpuSecondsBelow(shop.pid, load.pid);
      const startedAt = performance.now();
      await sleep(seconds * 1_000);
      const after = await readCounts(client);
      const measured = (performance.now() - startedAt) / 1_000;
      const cpu = cpuShares(cpuBefore, cpuSecondsBelow(shop.pid, load.pid), measured, availableParallelism());
      const { cpuSeconds, refused } = await load.stop();
      const latency = await readLatency(client, before.at, after.at);
      await untilQuiet(client);
      return {
        confirmedPerSecond: round((after.confirmed - before.confirmed) / measured),
        ...latency,
        logSyncs: after.logSyncs - before.logSyncs,
        cpu: { ...cpu, load: round(cpuSeconds / (measured + warmUpSeconds) / availableParallelism(), 3) },
        refused,
      };
    });
  } finally {
    load.kill();
  }
}

function startLoad(order: LoadOrder) {
  const child = fork(new URL("./order-load.ts", import.meta.url), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  child.send(order);
  return {
    pid: child.pid,
    async stop(): Promise<LoadReport> {
      const reported = once(child, "message");
      child.send("stop");
      const [answer] = await reported;
      return answer as LoadReport;
    },
    kill: () => child.kill("SIGKILL"),
  };
}

interface Counts {
  readonly at: string;
  readonly confirmed: number;
  readonly logSyncs: number;
}

async function readCounts(client: pg.Client): Promise<Counts> {
  const { rows } = await client.query(
    `select clock_timestamp()::text as at, (select count(*)::int from orders.orders where status = 'CONFIRMED') as confirmed,
       (select sum(fsyncs)::int from pg_stat_io where object = 'wal') as "logSyncs"`,
  );
  return rows[0];
}

/** From the moment an order was accepted to the moment its confirmation was written, for the orders confirmed in between. */
async function readLatency(client: pg.Client, from: string, to: string): Promise<{ p50Ms: number; p99Ms: number }> {
  const { rows } = await client.query(
    `select percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from confirmed.created_at - placed.created_at) * 1000) as ms
     from orders.outbox_online as confirmed join orders.outbox_online as placed
       on placed.aggregateid = confirmed.aggregateid and placed.type = 'order.placed.v1'
     where confirmed.type = 'order.confirmed.v1' and confirmed.created_at between $1 and $2`,
    [from, to],
  );
  const [p50Ms, p99Ms] = rows[0]?.ms ?? [];
  return { p50Ms: round(Number(p50Ms)), p99Ms: round(Number(p99Ms)) };
}

/** Waits until no order is pending, so that the next measurement begins with a shop at rest. */
async function untilQuiet(client: pg.Client): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  while (performance.now() < giveUpAt) {
    const { rows } = await client.query(
      "select exists (select from orders.orders where status = 'PENDING') as pending",
    );
    if (!rows[0].pending) return;
    await sleep(200);
  }
  throw new Error("Orders were still pending a minute after the load had stopped.");
}
