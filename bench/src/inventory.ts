/** `onsale bench inventory`: reservations of one hot product, as the product makes them, beside PostgreSQL's plain order transaction on one. */

import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventsByOwner } from "@onsale/contracts/events";
import { stockReserved } from "@onsale/contracts/inventory";
import { orderPlaced } from "@onsale/contracts/orders";
import { migrations as httpMigrations } from "@onsale/http";
import { inventory } from "@onsale/inventory";
import { fewestLocations, type InventoryPorts } from "@onsale/inventory/ports";
import {
  type EventDefinition,
  fact,
  migrations as messagingMigrations,
  OutboxLog,
  publish,
  type RunningFeeds,
  startFeeds,
} from "@onsale/messaging";
import { type Database, type MigrationSet, migrate, openDatabase, startEmbeddedPostgres } from "@onsale/postgres";
import { ids } from "@onsale/runtime";
import { migrations as sagaMigrations } from "@onsale/saga";
import type pg from "pg";
import { hasPgbench, preparePlainOrder, readSettings, withClient } from "./plain-order.ts";
import { type BenchReport, machine, type Pair, pairedRow, round } from "./report.ts";

export interface InventoryBenchOptions {
  /** Where the data lie meanwhile; removed at the end. Not on a memory disk: durability is part of what is measured. */
  readonly directory: string;
  /** Seconds of the plain transaction, and of the steady load. */
  readonly seconds: number;
  /** Measurements of ours and of the limit, in turn. */
  readonly pairs: number;
  /** Orders that wait for each measurement of ours. */
  readonly orders: number;
  /** Orders a second of the steady load. */
  readonly perSecond: number;
  readonly say: (words: string) => void;
}

/** Reservations on one hot product over plain transactions on one. */
const goal = 20;
/** Of a steady load, from the order's commit to its reservation's, in milliseconds. */
const promisedP95Ms = 50;

const sku = "HOT";
/** Orders of one transaction of the backlog: as many as a full batch of the intake. */
const ordersOfTransaction = 1_000;
/** The steady load comes in batches of so many milliseconds, as an intake under that load commits them. */
const tickMs = 10;

export async function benchInventory(options: InventoryBenchOptions): Promise<BenchReport> {
  const { pairs, orders, seconds, perSecond, say } = options;
  await using ground = await openGround(options.directory);
  const settings = await withClient(ground.url, readSettings);
  if (!(await hasPgbench())) {
    say("pgbench is not on this machine, so there is no limit to compare with: the row `hot postgres` is absent.");
    return { name: "inventory", machine: machine(), rows: [], details: { settings, absent: "pgbench" } };
  }
  say("searching the plain transaction's best number of clients on one product");
  const plain = await preparePlainOrder(ground.url, { seconds: Math.min(10, seconds), skus: 1 });
  const measured: Pair[] = [];
  await ground.drain(Math.ceil(orders / 5));
  for (let pair = 1; pair <= pairs; pair++) {
    const limit = await plain.measure(seconds);
    const value = await ground.drain(orders);
    measured.push({ value, limit });
    say(`pair ${pair} of ${pairs}: ${round(value)} reservations/s, plain ${round(limit)} transactions/s`);
  }
  await plain.drop();
  const steady = await ground.steady(perSecond, seconds);
  say(`${perSecond} orders/s: p95 ${steady.p95Ms} ms`);
  const wrong = await ground.wrongBooks();
  for (const what of wrong) say(`violation: ${what}`);
  const names = {
    unit: "reservations/s",
    limit: `plain transaction on one product, pgbench, ${plain.clients} clients`,
  };
  const row = pairedRow("hot postgres", measured, { ...names, goal });
  return {
    name: "inventory",
    machine: machine(),
    rows: [{ ...row, met: row.met && steady.p95Ms <= promisedP95Ms && wrong.length === 0 }],
    details: { pairs: measured, steady: { ...steady, promisedP95Ms }, wrong, plainByClients: plain.curve, settings },
  };
}

interface Steady {
  readonly orders: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

interface Ground extends AsyncDisposable {
  readonly url: string;
  /** Reserves a backlog of orders; gives reservations a second. */
  drain(orders: number): Promise<number>;
  steady(perSecond: number, seconds: number): Promise<Steady>;
  /** Where stock, ledger, holds and events do not agree, in words. */
  wrongBooks(): Promise<string[]>;
}

/** A PostgreSQL as the product starts it, an outbox of orders, and the inventory service reading it. */
async function openGround(directory: string): Promise<Ground> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const server = await startEmbeddedPostgres({ directory: join(directory, "postgres") });
  const opened: Database[] = [];
  const url = server.localUrl;
  try {
    await migrateAll(url);
    const open = (schema: string): Database => {
      const place = { url, schema, role: `onsale_${schema}`, applicationName: `bench ${schema}` };
      const database = openDatabase({ ...place, connections: 8 });
      opened.push(database);
      return database;
    };
    const [orders, stock] = [open("orders"), open("inventory")];
    await withClient(url, (client) =>
      client.query("insert into inventory.stock (sku, received) values ($1, $2)", [sku, 1e12]),
    );
    return {
      url,
      drain: (count) => drain(url, stock, count),
      steady: (perSecond, seconds) => steady(url, { orders, stock }, { perSecond, seconds }),
      wrongBooks: () => wrongBooks(url),
      async [Symbol.asyncDispose]() {
        await Promise.all(opened.map((database) => database.close()));
        await server.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function migrateAll(adminUrl: string): Promise<void> {
  const kit = [messagingMigrations, httpMigrations, sagaMigrations];
  const own: MigrationSet = { owner: "inventory", directory: inventory.migrations };
  for (const [schema, sets] of [["inventory", [...kit, own]] as const, ...tellers.map((it) => [it, kit] as const)])
    await migrate({ adminUrl, schema, role: `onsale_${schema}`, sets });
}

/** Whom inventory hears, besides orders: their outboxes are read, too, and stay empty. */
const sourceOf = ({ type }: EventDefinition): string => {
  const owner = Object.entries(eventsByOwner).find(([, events]) => events.some((event) => event.type === type));
  if (owner === undefined) throw new Error(`Nobody owns ${type}.`);
  return owner[0];
};
const tellers = [...new Set(inventory.consumers.flatMap(({ on }) => on).map(sourceOf))];

function startInventory(database: Database): RunningFeeds {
  const ports: InventoryPorts = {
    ...{ ids, clock: { now: () => new Date().toISOString() }, chooseLocations: fewestLocations },
  };
  const { name: service, consumers } = inventory;
  return startFeeds({ service, database, consumers, ports, sourceOf, log: new OutboxLog({ database }) });
}

async function drain(url: string, stock: Database, orders: number): Promise<number> {
  const before = await withClient(url, countReserved);
  const waiting = await fillOutbox(url, orders);
  const startedAt = performance.now();
  const feeds = startInventory(stock);
  try {
    await withClient(url, async (client) => {
      // Counting costs what it counts: the place in the outbox does not.
      while ((await countReserved(client)) < before + waiting) await sleep(lookEveryMs);
    });
    return waiting / ((performance.now() - startedAt) / 1_000);
  } finally {
    await feeds.drain();
  }
}

const lookEveryMs = 20;

/** Events that inventory told: one for each order. */
async function countReserved(client: pg.Client): Promise<number> {
  const { rows } = await client.query("select coalesce(max(position), 0)::int as told from inventory.outbox_online");
  return rows[0].told;
}

/** Orders of one unit of the hot product, in whole transactions. How they came there is not what is measured. */
async function fillOutbox(url: string, orders: number): Promise<number> {
  const transactions = Math.ceil(orders / ordersOfTransaction);
  const { orderId: _, buyerId: __, lines: ___, arrival: ____, ...rest } = orderPlaced.sample;
  const line = { sku, units: 1, unitPriceMinor: 255 };
  await withClient(url, (client) =>
    client.query(`
      do $$ begin
        for transaction in 1..${transactions} loop
          insert into orders.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
          select gen_random_uuid(), 'order', order_id, '${orderPlaced.type}',
            '${JSON.stringify({ ...rest, lines: [line] })}'::jsonb
              || jsonb_build_object('orderId', order_id, 'buyerId', gen_random_uuid(), 'arrival', arrival),
            1, jsonb_build_object('correlationid', order_id)
          from (select gen_random_uuid()::text as order_id, number as arrival
                from generate_series(1, ${ordersOfTransaction}) as number) as placed;
          commit;
        end loop;
      end $$`),
  );
  return transactions * ordersOfTransaction;
}

async function steady(
  url: string,
  { orders, stock }: { orders: Database; stock: Database },
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<Steady> {
  const feeds = startInventory(stock);
  const perTick = Math.max(1, Math.round((perSecond * tickMs) / 1_000));
  const ticks = Math.round((seconds * 1_000) / tickMs);
  const { rows } = await withClient(url, (client) => client.query("select clock_timestamp()::text as now"));
  const underWay: Promise<unknown>[] = [];
  const startedAt = performance.now();
  try {
    for (let tick = 0; tick < ticks; tick++) {
      await sleep(Math.max(0, startedAt + tick * tickMs - performance.now()));
      underWay.push(orders.transaction((tx) => publish(tx, Array.from({ length: perTick }, placedOrder))));
    }
    await Promise.all(underWay);
    await untilAnswered(url, rows[0].now);
  } finally {
    await feeds.drain();
  }
  return await latencies(url, rows[0].now);
}

function placedOrder() {
  const orderId = randomUUID();
  const { sample } = orderPlaced;
  const data = { ...sample, orderId, buyerId: randomUUID(), lines: [{ sku, units: 1, unitPriceMinor: 255 }] };
  return fact(orderPlaced, { data, sequence: 1, cause: { correlationId: orderId } });
}

const placedAndReserved = `
  select placed.created_at as placed, reserved.created_at as reserved
  from orders.outbox_online as placed
  left join inventory.outbox_online as reserved
    on reserved.aggregateid = placed.aggregateid and reserved.type = '${stockReserved.type}'
  where placed.created_at >= $1`;

async function untilAnswered(url: string, since: string): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  await withClient(url, async (client) => {
    for (;;) {
      const { rows } = await client.query(
        `select count(*) filter (where reserved is null)::int as open from (${placedAndReserved}) as both_of`,
        [since],
      );
      if (rows[0].open === 0) return;
      if (performance.now() > giveUpAt) throw new Error(`${rows[0].open} orders were not answered within a minute.`);
      await sleep(200);
    }
  });
}

/** From the order's row to its reservation's, both by the database's clock. The first second warms up. */
async function latencies(url: string, since: string): Promise<Steady> {
  const { rows } = await withClient(url, (client) =>
    client.query(
      `select count(*)::int as orders, percentile_cont(array[0.5, 0.95, 0.99]) within group (
         order by extract(epoch from reserved - placed) * 1000) as ms
       from (${placedAndReserved}) as both_of where placed >= $1::timestamptz + interval '1 second'`,
      [since],
    ),
  );
  const [p50Ms, p95Ms, p99Ms] = (rows[0].ms as number[]).map((ms) => round(Number(ms)));
  return { orders: rows[0].orders, p50Ms: p50Ms ?? 0, p95Ms: p95Ms ?? 0, p99Ms: p99Ms ?? 0 };
}

async function wrongBooks(url: string): Promise<string[]> {
  const { rows } = await withClient(url, (client) =>
    client.query(
      `select (select held from inventory.stock where sku = $1) as held,
         (select sum(held_delta) from inventory.movement where sku = $1) as ledger,
         (select sum(units) from inventory.hold where sku = $1) as holds,
         (select count(*) from inventory.outbox_online where type = $2) as told,
         (select count(*) from orders.outbox_online) as placed`,
      [sku, stockReserved.type],
    ),
  );
  const { held, ...others } = rows[0] as Record<string, string>;
  return Object.entries(others).flatMap(([what, count]) =>
    Number(count) === Number(held) ? [] : [`${held} units are held, by ${what} it is ${count}`],
  );
}
