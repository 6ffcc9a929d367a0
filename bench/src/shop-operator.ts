/** The bench as a person who runs the shop: everything it does goes over HTTP. */

import { randomUUID } from "node:crypto";
import type { BenchShop } from "./report.ts";

export interface ShopOperator {
  post(path: string, body: unknown): Promise<unknown>;
  readonly accessToken: string;
}

export async function logIn({ url, operator }: BenchShop): Promise<ShopOperator> {
  const { accessToken } = (await send(url, "/v1/tokens", operator, {})) as { accessToken: string };
  return { accessToken, post: (path, body) => send(url, path, body, { authorization: `Bearer ${accessToken}` }) };
}

async function send(url: string, path: string, body: unknown, headers: Record<string, string>): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", "idempotency-key": randomUUID() },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`POST ${path} answered ${response.status}: ${answer.slice(0, 500)}`);
  return JSON.parse(answer);
}

/** Seeds products with more stock than a run can sell; gives their codes. */
export async function seedProducts(operator: ShopOperator, count: number): Promise<string[]> {
  const skus = Array.from({ length: count }, (_, index) => `BENCH-${index + 1}`);
  const atOnce = 16;
  for (let first = 0; first < skus.length; first += atOnce) {
    await Promise.all(
      skus.slice(first, first + atOnce).map(async (sku) => {
        await operator.post("/v1/admin/products", {
          sku,
          name: `Bench product ${sku}`,
          priceMinor: 1530,
          currency: "GBP",
        });
        await operator.post("/v1/admin/stock-receipts", { sku, units: 1_000_000 });
      }),
    );
  }
  return skus;
}
