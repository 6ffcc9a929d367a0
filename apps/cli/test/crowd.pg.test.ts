/** The moment that the product is for: far more buyers than units, all at once, from another process than the shop's. */

// Despite "tests do not sleep": a buyer who is told to come back in a second does so, and does not crowd the door.
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { onsale, opened, shopFolder } from "./command-line.ts";

let shop: Awaited<ReturnType<typeof shopFolder>>;
let up: Awaited<ReturnType<typeof shop.up>>;
let url: string;

beforeAll(async () => {
  shop = await shopFolder();
  up = await shop.up();
  await opened(up);
  ({ url } = await shop.server());
}, 180_000);
afterAll(async () => {
  await up?.[Symbol.asyncDispose]();
  await shop.remove();
});

test("500 buyers at once for 50 units: exactly 50 are sold, 450 are told so, and the books agree", async () => {
  const seeded = await onsale(["seed", "--data", shop.root, "--sku", "DROP", "--units", "50", "--price-minor", "1999"]);
  expect(seeded.code).toBe(0);

  const buyers = await Promise.all(Array.from({ length: 500 }, () => post("/v1/guests", {}, {})));
  const orders = await Promise.all(
    buyers.map(async ({ accessToken }, index) => {
      const headers = { authorization: `Bearer ${accessToken}`, "idempotency-key": `drop-${index}` };
      const body = { currency: "GBP", lines: [{ sku: "DROP", quantity: 1 }], payment: { method: "card" } };
      const { orderId } = await post("/v1/orders", body, headers);
      return { accessToken, orderId };
    }),
  );
  const ends = await Promise.all(orders.map(({ orderId, accessToken }) => endOf(orderId, accessToken)));

  const counts = Map.groupBy(ends, ({ status, reason }) => `${status} ${reason}`);
  expect(new Map([...counts].map(([end, of]) => [end, of.length]))).toEqual(
    new Map([
      ["CONFIRMED null", 50],
      ["REJECTED SOLD_OUT", 450],
    ]),
  );
  await waitFor(async () => (await (await fetch(`${url}/v1/products/DROP`)).text()).includes('"sold_out"'));
  const audit = await onsale(["audit", "--data", shop.root, "-o", "json"]);
  expect(JSON.parse(audit.stdout).violations).toEqual([]);
  expect(audit.code).toBe(0);
}, 180_000);

interface Answer {
  readonly accessToken: string;
  readonly orderId: string;
}

/** Posts, and again under the same key where the shop asks to come back later, as a client does. */
async function post(path: string, body: object, headers: Record<string, string>): Promise<Answer> {
  for (;;) {
    const answer = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    if (answer.ok) return (await answer.json()) as Answer;
    const text = await answer.text();
    expect(answer.status, text).toBe(503);
    await sleep(Number(answer.headers.get("retry-after")) * 1_000);
  }
}

interface OrderEnd {
  readonly status: string;
  readonly reason: string | null;
}

/** How an order ended, from its stream of events, which closes at the end. */
async function endOf(orderId: string, accessToken: string): Promise<OrderEnd> {
  const headers = { authorization: `Bearer ${accessToken}` };
  const stream = await fetch(`${url}/v1/orders/${orderId}/events`, { headers });
  await stream.text();
  return (await (await fetch(`${url}/v1/orders/${orderId}`, { headers })).json()) as OrderEnd;
}
