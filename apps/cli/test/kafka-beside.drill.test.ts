/** One shop with a broker beside it, which is frozen, killed and orphaned under load. The tests follow one another on the same data. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { requiresKafka, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isAlive } from "../src/process-mark.ts";
import { onsale, opened, shopFolder } from "./command-line.ts";

// A start of PostgreSQL, a virtual machine and six services, several times, on a machine that does other things.
const longMs = 400_000;

const invoices = new URL("../../../examples/online-retail/invoices-2010-12-01-to-05.csv", import.meta.url);

/** Orders placed while the broker is away. */
const ordersInOutage = 40;

let shop: Awaited<ReturnType<typeof shopFolder>>;
let up: Awaited<ReturnType<typeof shop.up>>;

beforeAll(async () => {
  shop = await shopFolder();
});
afterAll(async () => {
  await up?.[Symbol.asyncDispose]();
  await shop.remove();
});

describe.skipIf(!(await requiresKafka()))("a shop with Kafka beside it", { timeout: longMs }, () => {
  test("says where the broker is, and replays invoices whose audit is clean", async () => {
    up = await shop.up(["--with", "kafka"]);
    await opened(up);
    const { kafka } = await shop.server();
    expect(await shop.status()).toMatchObject({ ready: true, kafka });
    expect(kafka).toMatch(/^127\.0\.0\.1:\d+$/);
    // The first invoices, a line of the file per article.
    const few = join(shop.root, "few.csv");
    await writeFile(few, (await readFile(invoices, "utf8")).split("\n").slice(0, 150).join("\n"));
    const { code, stdout, stderr } = await onsale(["replay", few, "--pay", "mixed", "--data", shop.root, "-o", "json"]);
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    expect(report.orders.confirmed).toBeGreaterThan(5);
    expect(report.orders.pending).toBe(0);
    expect(report.audit.violations).toEqual([]);
    expect(await metric("onsale_events_relayed_total", 'source="orders"')).toBeGreaterThan(0);
  });

  test("takes orders while the broker is frozen; what waits is in the metrics, and all of it arrives afterwards", async () => {
    const { kafkaBroker } = await shop.server();
    await onsale(["seed", "--data", shop.root, "--sku", "DROP", "--units", "500", "--price-minor", "1999"]);
    process.kill(kafkaBroker.pid, "SIGSTOP");
    let orders: readonly string[];
    try {
      orders = await placeOrders("frozen");
      await waitFor(async () => (await backlog()) >= ordersInOutage, { withinMs: 60_000, what: "the backlog" });
      expect(await metric("onsale_relay_backlog_oldest_age_seconds", 'service="orders"')).toBeGreaterThan(0);
      expect(await metric("onsale_relay_backlog_bound_events")).toBeGreaterThan(ordersInOutage);
      const ready = await waitFor(async () => {
        const answer = await fetch(`${await url()}/health/ready`);
        const { checks } = (await answer.json()) as { checks: Record<string, string> };
        return checks.kafka !== "ok" && { status: answer.status, kafka: checks.kafka };
      });
      expect(ready).toEqual({ status: 200, kafka: "does not answer" });
      const { code, stderr } = await takeInventoryBack();
      expect(code).not.toBe(0);
      expect(stderr).toContain("can't be reached");
    } finally {
      process.kill(kafkaBroker.pid, "SIGCONT");
    }
    await allConfirmed(orders);
    await waitFor(async () => (await backlog()) === 0, { withinMs: 60_000, what: "the end of the backlog" });
  });

  test("takes orders while the broker is killed, which is started again at its address", async () => {
    const { kafkaBroker, kafka } = await shop.server();
    process.kill(kafkaBroker.pid, "SIGKILL");
    const orders = await placeOrders("killed");
    await waitFor(async () => (await shop.server()).kafkaBroker.pid !== kafkaBroker.pid, { withinMs: 120_000 });
    expect((await shop.status()).kafka).toBe(kafka);
    await allConfirmed(orders);
  });

  test("after its process was killed nothing stays behind, and the next start has the broker without being told", async () => {
    const before = await shop.server();
    const orders = await placeOrders("orphaned");
    process.kill(before.server.pid, "SIGKILL");
    await waitFor(() => !isAlive(before.server));
    up = await shop.up();
    await opened(up);
    const after = await shop.server();
    expect(isAlive(before.kafkaBroker)).toBe(false);
    expect(isAlive(after.kafkaBroker)).toBe(true);
    expect(after.kafka).toBe(before.kafka);
    await allConfirmed(orders);
  });

  test("gives a reader what its topic has once more, without a second effect", async () => {
    const { code, stdout, stderr } = await takeInventoryBack();
    expect(code, stderr).toBe(0);
    const { reset, streams } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    expect(reset).toBe(true);
    const [online] = streams.filter(({ lane }: { lane: string }) => lane === "online");
    expect(online.events).toBeGreaterThan(3 * ordersInOutage);
    expect([online.from > 3 * ordersInOutage, online.to]).toEqual([true, 0]);
    await allConfirmed(await placeOrders("behind the reset"));
  });

  test("after all of that the audit is clean: nothing lost, nothing doubled", async () => {
    const { code, stdout } = await onsale(["audit", "--data", shop.root, "-o", "json"]);
    const report = JSON.parse(stdout);
    expect(report.violations).toEqual([]);
    expect(code).toBe(0);
    expect(report.rows["events.heard"]).toBeGreaterThan(3 * ordersInOutage);
  });

  test("closes in good order on SIGTERM, and leaves nothing running", async () => {
    const { server, kafkaBroker } = await shop.server();
    up.signal("SIGTERM");
    expect(await up.ended).toBe(0);
    expect([server, kafkaBroker].map(isAlive)).toEqual([false, false]);
    expect(await shop.status()).toMatchObject({ ready: false, kafka: null });
  });
});

const url = async (): Promise<string> => (await shop.server()).url;

const takeInventoryBack = () => {
  const wish = ["--source", "orders", "--reason", "a look back", "--yes"];
  return onsale(["consumers", "reset", "inventory", ...wish, "--data", shop.root, "-o", "json"]);
};

/** The token of whoever placed it, by order. */
const tokens = new Map<string, string>();

/** Places orders one after the other, each of which must be taken at once; gives their ids. */
async function placeOrders(name: string): Promise<string[]> {
  const orders: string[] = [];
  for (let count = 0; count < ordersInOutage; count++) {
    const { accessToken = "" } = await post("/v1/guests", {}, {});
    const headers = { authorization: `Bearer ${accessToken}`, "idempotency-key": `${name}-${count}` };
    const wish = { currency: "GBP", lines: [{ sku: "DROP", quantity: 1 }], payment: { method: "card" } };
    const { orderId = "" } = await post("/v1/orders", wish, headers);
    tokens.set(orderId, accessToken);
    orders.push(orderId);
  }
  return orders;
}

async function post(path: string, body: object, headers: Readonly<Record<string, string>>) {
  const answer = await fetch(`${await url()}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  expect([201, 202], text).toContain(answer.status);
  return JSON.parse(text) as { accessToken?: string; orderId?: string };
}

async function allConfirmed(orders: readonly string[]): Promise<void> {
  for (const orderId of orders) {
    const headers = { authorization: `Bearer ${tokens.get(orderId)}` };
    const status = async () =>
      ((await (await fetch(`${await url()}/v1/orders/${orderId}`, { headers })).json()) as { status: string }).status;
    await waitFor(async () => (await status()) !== "PENDING", { withinMs: 120_000, what: `the end of ${orderId}` });
    expect(await status()).toBe("CONFIRMED");
  }
}

const backlog = (): Promise<number> => metric("onsale_relay_backlog_events", 'service="orders",lane="online"');

/** The sum of a metric's values whose labels contain this. */
async function metric(name: string, labels = ""): Promise<number> {
  const page = await (await fetch(`${await url()}/metrics`)).text();
  const lines = page.split("\n").filter((line) => line.startsWith(name) && line.includes(labels));
  expect(lines.length, `${name}{${labels}}`).toBeGreaterThan(0);
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
