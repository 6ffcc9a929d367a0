/** A replay of real invoices, two lines of each at most, whose shop is killed three times on the way, each time otherwise. */

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type SpawnedNode, spawnNode, waitFor } from "@onsale/testing";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../src/checkout.ts";
import { endProcess, isAlive } from "../src/process-mark.ts";
import { environment, familyOf, main, onsale, opened, readinessIs, shopFolder } from "./command-line.ts";

const longMs = 300_000;

// What counts here is orders: with all lines and customers most of the time would go into shelves and passwords. Of the
// customers every fourth keeps the name; the others order as guests.
const linesOfInvoice = 2;
// A loaded machine accepts ninety orders before each of the three deaths; forty must be left after them.
const invoicesPlayed = 420;
const namedShare = 4;

let invoices: string;
let shop: Awaited<ReturnType<typeof shopFolder>>;
let up: SpawnedNode;
let replay: SpawnedNode | undefined;

beforeAll(async () => {
  shop = await shopFolder();
  invoices = `${shop.root}.csv`;
  await writeFile(
    invoices,
    thinned(await readFile(join(checkout, "examples/online-retail/invoices-2010-12-01-to-05.csv"), "utf8")),
  );
});
afterAll(async () => {
  await replay?.[Symbol.asyncDispose]();
  await up?.[Symbol.asyncDispose]();
  await shop.remove();
  await rm(invoices, { force: true });
});

describe("a replay", { timeout: longMs }, () => {
  /** Ways to die: what a machine, an operator or the kernel's memory killer leaves behind. */
  const deaths = [
    { what: "the server alone, its PostgreSQL and provider orphaned", kills: ["server"] },
    { what: "the server and the postmaster", kills: ["server", "postgres"] },
    { what: "everything at once", kills: ["server", "postgres", "provider"] },
  ] as const;

  let accepted = 0;
  for (const { what, kills } of deaths) {
    test(`is begun, or goes on, until orders are outstanding; then dies: ${what}`, async () => {
      up = await shop.up();
      await opened(up);
      const { provider } = await shop.server();
      replay = await startReplay();
      // At a moment that nobody chose: some time after the first new orders, payments stop being answered ...
      await acceptedSince(accepted + 20 + Math.floor(Math.random() * 30));
      process.kill(provider.pid, "SIGSTOP");
      // ... so that orders pile up in the middle of their way.
      await acceptedSince(accepted + 50);
      await waitFor(async () => (await outstanding()) >= 50, { withinMs: 60_000, what: "50 outstanding orders" });
      await dieAs(kills);
      process.kill(provider.pid, "SIGCONT");
      accepted = (await journaledOrders()).length;
    });
  }

  test("is run once more by the same command, and goes on by itself after its database was frozen and then stopped: every journaled order is there and ends, none twice, no charge twice", async () => {
    const journaled = await journaledOrders();
    up = await shop.up();
    await opened(up);
    replay = await startReplay();
    await acceptedSince(journaled.length + 20);
    if (process.platform === "linux") await freezeDatabase();
    await acceptedSince(journaled.length + 40);
    await stopDatabase();
    expect(await replay.ended, replay.lines.join("\n")).toBe(0);
    const report = JSON.parse(replay.lines.findLast((line) => line.startsWith("{")) ?? "");
    expect(report.audit.violations).toEqual([]);
    expect(report.orders.submitted).toBeGreaterThan(320);
    expect(report.orders.pending).toBe(0);
    const inShop = await withDatabase(
      async (client) => (await client.query("select order_id from orders.orders")).rows,
    );
    expect(inShop).toHaveLength(report.orders.submitted);
    const known = new Set(inShop.map((row) => row.order_id));
    expect(journaled.filter((orderId) => !known.has(orderId))).toEqual([]);
  });

  test("run on the same data again changes nothing", async () => {
    const { code, stdout, stderr } = await onsale(["replay", invoices, "--data", shop.root, "-o", "json"]);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}")).toMatchObject({
      changed: false,
      orders: { pending: 0 },
    });
  });
});

/** The first lines of each of the first invoices. */
function thinned(file: string): string {
  const [head = "", ...lines] = file.split("\n");
  const seen = new Map<string, number>();
  const kept = lines.filter((line) => {
    const invoice = line.slice(0, line.indexOf(","));
    const count = (seen.get(invoice) ?? 0) + 1;
    seen.set(invoice, count);
    return count <= linesOfInvoice && seen.size <= invoicesPlayed;
  });
  return [head, ...kept.map((line) => line.replace(/,(\d+),([^,]+)$/, unnamed))].join("\n");
}

const unnamed = (end: string, customer: string, country: string): string =>
  Number(customer) % namedShare === 0 ? end : `,,${country}`;

const startReplay = (): Promise<SpawnedNode> =>
  spawnNode(main, {
    args: ["replay", invoices, "--data", shop.root, "--rate", "40", "-o", "json"],
    env: environment(),
  });

async function dieAs(kills: readonly ("server" | "postgres" | "provider")[]): Promise<void> {
  const server = await shop.server();
  for (const name of kills) process.kill(server[name].pid, "SIGKILL");
  await waitFor(() => kills.every((name) => !isAlive(server[name])));
  await replay?.[Symbol.asyncDispose]();
  await endProcess(server.server, { signal: "SIGKILL", withinMs: 2_000 });
}

/** For five seconds; meanwhile the shop says to everybody, in time, to come back later. */
async function freezeDatabase(): Promise<void> {
  const { url, postgres } = await shop.server();
  const frozen = familyOf(postgres.pid);
  const thawAt = performance.now() + 5_000;
  for (const pid of frozen) process.kill(pid, "SIGSTOP");
  try {
    await readinessIs(url, 503);
    await waitFor(async () => {
      const answer = await fetch(`${url}/v1/products`);
      expect([answer.status, Number(answer.headers.get("retry-after")) > 0]).toEqual([503, true]);
      return performance.now() > thawAt;
    });
  } finally {
    for (const pid of frozen) process.kill(pid, "SIGCONT");
  }
  await readinessIs(url, 200);
}

/** As an administrator does who does not wait for sessions. */
async function stopDatabase(): Promise<void> {
  const { url, postgres } = await shop.server();
  process.kill(postgres.pid, "SIGQUIT");
  await waitFor(async () => (await shop.server()).postgres.pid !== postgres.pid, {
    withinMs: 60_000,
    what: "another PostgreSQL",
  });
  await readinessIs(url, 200);
}

/** The orders that the clients' journal on disk knows to be accepted. */
async function journaledOrders(): Promise<string[]> {
  const folder = join(shop.root, "replay");
  const files = await readdir(folder).catch(() => []);
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  return texts.flatMap((text) =>
    [...text.matchAll(/"kind":"order".*?"orderId":"([0-9a-f-]{36})"/g)].map(([, id]) => id ?? ""),
  );
}

const acceptedSince = (count: number): Promise<unknown> =>
  waitFor(async () => (await journaledOrders()).length >= count, {
    withinMs: 180_000,
    what: `${count} accepted orders`,
  });

const outstanding = (): Promise<number> =>
  withDatabase(async (client) => {
    const { rows } = await client.query("select count(*)::int as pending from orders.orders where status = 'PENDING'");
    return rows[0].pending;
  });

async function withDatabase<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const { databaseUrl } = await shop.server();
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
