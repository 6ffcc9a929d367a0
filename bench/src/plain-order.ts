/** The limit: what PostgreSQL itself does with one plain order transaction, driven by pgbench at its best. */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";

const execute = promisify(execFile);
const script = fileURLToPath(new URL("../sql/plain-order.sql", import.meta.url));
const tables = ["../migrations/shop/0001-plain-order.sql", "../sql/plain-outbox.sql"];
const clientCounts = [1, 4, 8, 16, 32, 64];
const database = "onsale_plain_order";

export interface PlainOrder {
  /** Transactions per second at the best number of clients. */
  measure(seconds: number): Promise<number>;
  readonly clients: number;
  /** Transactions per second by number of clients, as the best was searched. */
  readonly curve: Readonly<Record<number, number>>;
  drop(): Promise<void>;
}

/** Whether pgbench is on this machine; without it the row has no limit and is absent, never replaced. */
export const hasPgbench = (): Promise<boolean> =>
  execute("pgbench", ["--version"]).then(
    () => true,
    () => false,
  );

/**
 * Makes the tables in a database of their own on the same server, warms it, and finds the best number of clients.
 * `skus`: over how many products the orders go, at most 1,000.
 */
export async function preparePlainOrder(
  adminUrl: string,
  { seconds, skus }: { readonly seconds: number; readonly skus: number },
): Promise<PlainOrder> {
  await withClient(adminUrl, async (client) => {
    await client.query(`drop database if exists ${database} with (force)`);
    await client.query(`create database ${database}`);
  });
  const url = urlOf(adminUrl);
  await withClient(url, async (client) => {
    for (const file of tables) await client.query(await readFile(new URL(file, import.meta.url), "utf8"));
  });
  const curve: Record<number, number> = {};
  const run = (clients: number, forSeconds: number) => pgbench(url, { clients, skus }, forSeconds);
  await run(8, seconds);
  for (const clients of clientCounts) curve[clients] = await run(clients, seconds);
  const [best] = clientCounts.toSorted((a, b) => (curve[b] ?? 0) - (curve[a] ?? 0));
  const clients = best ?? 1;
  return {
    clients,
    curve,
    measure: (measureSeconds) => run(clients, measureSeconds),
    drop: () =>
      withClient(
        adminUrl,
        async (client) => void (await client.query(`drop database if exists ${database} with (force)`)),
      ),
  };
}

async function pgbench(
  url: string,
  { clients, skus }: { readonly clients: number; readonly skus: number },
  seconds: number,
): Promise<number> {
  const load = ["-c", String(clients), "-j", "2", "-T", String(seconds), "-D", `skus=${skus}`];
  const options = ["-n", "-M", "prepared", ...load, "-f", script];
  const { stdout } = await execute("pgbench", [...options, url]);
  const [, rate] = /tps = ([\d.]+)/.exec(stdout) ?? [];
  if (rate === undefined) throw new Error(`pgbench gave no rate: ${stdout.slice(0, 500)}`);
  return Number(rate);
}

function urlOf(adminUrl: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}

export async function withClient<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url, application_name: "onsale bench" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What of a server's settings a reader has to know to believe a figure. */
export async function readSettings(client: pg.Client): Promise<Record<string, string>> {
  const names = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
  ];
  const { rows } = await client.query("select name, current_setting(name) as value from unnest($1::text[]) as name", [
    names,
  ]);
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}
