/** One measurement of orders: a load in a process of its own, what the database committed meanwhile, and what it cost. */

import { type ChildProcess, fork } from "node:child_process";
import { on } from "node:events";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { LoadMessage, LoadOrder, LoadReport } from "./order-load.ts";
import { withClient } from "./plain-order.ts";
import { type CpuSeconds, cpuSecondsBelow } from "./processes.ts";
import { type BenchShop, round } from "./report.ts";

export interface OrderMeasurement {
  /** Confirmations committed. */
  readonly confirmedPerSecond: number;
  /** Answers 202. */
  readonly acceptedPerSecond: number;
  /** From the acceptance written to the confirmation written; null where none was. */
  readonly confirmedMs: Percentiles | null;
  /** From a request of the load to its answer. */
  readonly answeredMs: Percentiles;
  /** Requests that were answered something else than accepted. */
  readonly refused: number;
  /** Flushes of the write-ahead log. */
  readonly logSyncs: number;
  /** Shares of all cores, and milliseconds of one core for each order that was confirmed. */
  readonly cpu: Readonly<Record<string, { readonly share: number; readonly msPerOrder: number | null }>>;
  /** What must not be, in words. */
  readonly violations: readonly string[];
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

const warmUpSeconds = 5;

export async function measureOrders(shop: BenchShop, order: LoadOrder, seconds: number): Promise<OrderMeasurement> {
  using load = startLoad(order);
  return await withClient(shop.databaseUrl, async (client) => {
    const ordersBefore = (await readCounts(client)).orders;
    await load.ready();
    await sleep(warmUpSeconds * 1_000);
    load.measure();
    const before = await readCounts(client);
    const cpuBefore = cpuSecondsBelow(shop.pid, load.pid);
    const startedAt = performance.now();
    await sleep(seconds * 1_000);
    const after = await readCounts(client);
    const measuredSeconds = (performance.now() - startedAt) / 1_000;
    const cpuAfter = cpuSecondsBelow(shop.pid, load.pid);
    const report = await load.stop();
    await untilQuiet(client);
    const confirmed = after.confirmed - before.confirmed;
    return {
      confirmedPerSecond: round(confirmed / measuredSeconds),
      acceptedPerSecond: round(report.accepted / report.seconds),
      confirmedMs: await readConfirmedMs(client, before.at, after.at),
      answeredMs: { p50: round(report.answeredMs.p50), p99: round(report.answeredMs.p99) },
      refused: report.refusedInAll,
      logSyncs: after.logSyncs - before.logSyncs,
      cpu: { ...cpuOf(cpuBefore, cpuAfter, measuredSeconds, confirmed), ...cpuOfLoad(report, confirmed) },
      violations: violationsOf((await readCounts(client)).orders - ordersBefore, report, confirmed),
    };
  });
}

/** What the load was told is accepted must be there, and nothing else; and a measurement of nothing is none. */
export function violationsOf(
  orders: number,
  { acceptedInAll }: Pick<LoadReport, "acceptedInAll">,
  confirmed: number,
): string[] {
  return [
    ...(orders === acceptedInAll ? [] : [`${acceptedInAll} orders were accepted, and ${orders} are there`]),
    ...(acceptedInAll > 0 ? [] : ["no order was accepted"]),
    ...(confirmed > 0 ? [] : ["no order was confirmed while they were counted"]),
  ];
}

function cpuOf(before: CpuSeconds, after: CpuSeconds, seconds: number, orders: number): OrderMeasurement["cpu"] {
  return Object.fromEntries(
    Object.keys(after).map((name) => [name, cost((after[name] ?? 0) - (before[name] ?? 0), seconds, orders)]),
  );
}

const cpuOfLoad = ({ cpuSeconds, seconds }: LoadReport, orders: number): OrderMeasurement["cpu"] => ({
  load: cost(cpuSeconds, seconds, orders),
});

const cost = (cpuSeconds: number, seconds: number, orders: number) => ({
  share: round(cpuSeconds / seconds / availableParallelism(), 3),
  msPerOrder: orders === 0 ? null : round((cpuSeconds * 1_000) / orders, 3),
});

interface Load extends Disposable {
  readonly pid: number | undefined;
  /** Once everybody is logged in and the first orders go out. */
  ready(): Promise<void>;
  measure(): void;
  stop(): Promise<LoadReport>;
}

function startLoad(order: LoadOrder): Load {
  const child = fork(new URL("./order-load.ts", import.meta.url), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const messages = messagesOf(child);
  child.send(order);
  return {
    pid: child.pid,
    async ready() {
      await messages.next();
    },
    measure: () => void child.send("measure"),
    async stop() {
      child.send("stop");
      return (await messages.next()) as LoadReport;
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

/** @throws where the load ends before it has said what is waited for; it has told why on standard error. */
function messagesOf(child: ChildProcess) {
  const ended = new AbortController();
  child.once("exit", (code) => code !== 0 && ended.abort(new Error(`The load ended with the code ${code}.`)));
  const messages = on(child, "message", { signal: ended.signal });
  return {
    async next(): Promise<LoadMessage> {
      const { value } = await messages.next().catch((error) => {
        throw ended.signal.reason ?? error;
      });
      const [message] = value as [LoadMessage];
      return message;
    },
  };
}

interface Counts {
  readonly at: string;
  readonly orders: number;
  readonly confirmed: number;
  readonly logSyncs: number;
}

async function readCounts(client: pg.Client): Promise<Counts> {
  const { rows } = await client.query(
    `select clock_timestamp()::text as at, count(*)::int as orders, count(*) filter (where status = 'CONFIRMED')::int as confirmed,
       (select sum(fsyncs)::int from pg_stat_io where object = 'wal') as "logSyncs" from orders.orders`,
  );
  return rows[0];
}

/** From the moment an order was accepted to the moment its confirmation was written, for the orders confirmed in between. */
async function readConfirmedMs(client: pg.Client, from: string, to: string): Promise<Percentiles | null> {
  const { rows } = await client.query(
    `select percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from confirmed.created_at - placed.created_at) * 1000) as ms
     from orders.outbox_online as confirmed join orders.outbox_online as placed
       on placed.aggregateid = confirmed.aggregateid and placed.type = 'order.placed.v1'
     where confirmed.type = 'order.confirmed.v1' and confirmed.created_at between $1 and $2`,
    [from, to],
  );
  const [p50, p99] = rows[0]?.ms ?? [];
  return p50 === undefined ? null : { p50: round(Number(p50)), p99: round(Number(p99)) };
}

/** Seconds in which fewer orders must be pending than before. */
const patienceSeconds = 60;

/** Waits until no order is pending, so that the next measurement begins with a shop at rest. */
async function untilQuiet(client: pg.Client): Promise<void> {
  let fewest = Number.POSITIVE_INFINITY;
  let patientUntil = 0;
  for (;;) {
    const { rows } = await client.query("select count(*)::int as pending from orders.orders where status = 'PENDING'");
    const { pending } = rows[0];
    if (pending === 0) return;
    if (pending < fewest) patientUntil = performance.now() + patienceSeconds * 1_000;
    else if (performance.now() > patientUntil)
      throw new Error(`${pending} orders are pending, as many as ${patienceSeconds} seconds ago.`);
    fewest = Math.min(fewest, pending);
    await sleep(500);
  }
}
