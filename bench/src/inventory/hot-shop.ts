/** A PostgreSQL as the product starts it, an outbox of orders, and the inventory service reading it. */

import { mkdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { eventsByOwner } from "@onsale/contracts/events";
import { migrations as httpMigrations } from "@onsale/http";
import { inventory } from "@onsale/inventory";
import { fewestLocations, type InventoryPorts } from "@onsale/inventory/ports";
import {
  type EventDefinition,
  migrations as messagingMigrations,
  OutboxLog,
  type RunningFeeds,
  startFeeds,
} from "@onsale/messaging";
import { type Database, type MigrationSet, migrate, openDatabase, startEmbeddedPostgres } from "@onsale/postgres";
import { ids } from "@onsale/runtime";
import { migrations as sagaMigrations } from "@onsale/saga";
import type pg from "pg";
import { withClient } from "../plain-order.ts";
import { type CpuSeconds, cpuSecondsBelow } from "../processes.ts";
import { round } from "../report.ts";

/** Of which there is always enough. */
export const endlessSku = "ENDLESS";

export interface HotShop extends AsyncDisposable {
  /** The administrator's. */
  readonly url: string;
  readonly orders: Database;
  readonly stock: Database;
}

export async function openHotShop(directory: string): Promise<HotShop> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const server = await startEmbeddedPostgres({ directory: join(directory, "postgres") });
  const url = server.localUrl;
  try {
    await migrateAll(url);
    const [orders, stock] = ["orders", "inventory"].map((schema) => openSchema(url, schema)) as [Database, Database];
    await withClient(url, (client) => putOnShelf(client, endlessSku, 1e12));
    return {
      ...{ url, orders, stock },
      async [Symbol.asyncDispose]() {
        await Promise.all([orders.close(), stock.close()]);
        await server.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const openSchema = (url: string, schema: string): Database =>
  openDatabase({ url, schema, role: `onsale_${schema}`, applicationName: `bench ${schema}`, connections: 8 });

async function migrateAll(adminUrl: string): Promise<void> {
  const kit = [messagingMigrations, httpMigrations, sagaMigrations];
  const own: MigrationSet = { owner: "inventory", directory: inventory.migrations };
  for (const [schema, sets] of [["inventory", [...kit, own]] as const, ...tellers.map((it) => [it, kit] as const)])
    await migrate({ adminUrl, schema, role: `onsale_${schema}`, sets });
}

export const putOnShelf = (client: pg.Client, sku: string, units: number) =>
  client.query("insert into inventory.stock (sku, received) values ($1, $2)", [sku, units]);

/** Whom inventory hears, besides orders: their outboxes are read, too, and stay empty. */
const sourceOf = ({ type }: EventDefinition): string => {
  const owner = Object.entries(eventsByOwner).find(([, events]) => events.some((event) => event.type === type));
  if (owner === undefined) throw new Error(`Nobody owns ${type}.`);
  return owner[0];
};
const tellers = [...new Set(inventory.consumers.flatMap(({ on }) => on).map(sourceOf))];

/** The service's readers, as a server starts them. */
export function startInventory(database: Database, gate?: InventoryPorts["gate"]): RunningFeeds {
  const ports: InventoryPorts = {
    ...{ ids, clock: { now: () => new Date().toISOString() }, chooseLocations: fewestLocations },
    ...(gate && { gate }),
  };
  const { name: service, consumers } = inventory;
  return startFeeds({ service, database, consumers, ports, sourceOf, log: new OutboxLog({ database }) });
}

/** Where the time went while something was measured. */
export interface ProcessorTime {
  readonly seconds: number;
  readonly logSyncs: number;
  /** Of all cores, by what used them. The server is this process: the service, and who measures it. */
  readonly shares: Readonly<Record<string, number>>;
  /** Microseconds of processor time per reservation. */
  readonly microseconds: Readonly<Record<string, number>>;
}

/** Does `work`, which makes so many reservations. */
export async function measured(
  client: pg.Client,
  work: () => Promise<{ readonly reservations: number }>,
): Promise<ProcessorTime & { readonly perSecond: number }> {
  const [syncsBefore, cpuBefore] = [await logSyncs(client), cpuSecondsBelow(process.pid, undefined)];
  const startedAt = performance.now();
  const { reservations } = await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpuAfter = cpuSecondsBelow(process.pid, undefined);
  const used = Object.keys(cpuAfter).map((name) => [name, (cpuAfter[name] ?? 0) - (cpuBefore[name] ?? 0)] as const);
  const per = (whole: number, digits: number): CpuSeconds =>
    Object.fromEntries(used.map(([name, spent]) => [name, round(spent / whole, digits)]));
  return {
    ...{ perSecond: round(reservations / seconds), seconds: round(seconds) },
    logSyncs: (await logSyncs(client)) - syncsBefore,
    shares: per(seconds * availableParallelism(), 3),
    microseconds: per(reservations / 1e6, 1),
  };
}

async function logSyncs(client: pg.Client): Promise<number> {
  const { rows } = await client.query("select sum(fsyncs)::int as syncs from pg_stat_io where object = 'wal'");
  return rows[0].syncs;
}

/** What became of a SKU's orders so far, committed. */
export async function answersOf(client: pg.Client, sku: string): Promise<{ held: number; refused: number }> {
  // By a key each: counting what is counted would cost as much as it.
  const { rows } = await client.query({
    name: "answers-of",
    text: `select held::float8 as held, (select count(*)::int from inventory.refused_wish where sku = $1) as refused
      from inventory.stock where sku = $1`,
    values: [sku],
  });
  return rows[0];
}
