import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTokenSigner, createTokenVerifier, newTokenKey } from "@onsale/http";
import { ensureSecrets, startProvider } from "@onsale/provider-sim";
import { ids, silentLogger } from "@onsale/runtime";
import { compose, startServer } from "@onsale/server";
import { waitFor } from "@onsale/testing";

const realm = { issuer: "onsale", audience: "onsale" };
const operator = { email: "operator@onsale.local", password: "not a secret at all" };

/** Every service of the product in this process, on a database of its own and with a provider beside it. */
export interface WholeShop {
  readonly services: readonly string[];
  /** Sends a request as an operator; anything but a success is an error. */
  call(method: "GET" | "POST", path: string, body?: object): Promise<unknown>;
  stop(): Promise<void>;
}

export async function openWholeShop(adminUrl: string): Promise<WholeShop> {
  const directory = await mkdtemp(join(tmpdir(), "onsale-whole-shop-"));
  const secretFile = join(directory, "provider.json");
  const secrets = await ensureSecrets(secretFile);
  const provider = await startProvider({ directory, secretFile, port: 0 });
  const signer = await createTokenSigner({ ...realm, privateKey: newTokenKey() });
  // Webhooks find nobody there: payments are settled by their answers.
  const nowhere = "http://127.0.0.1:9";
  const composition = compose({
    ...{ url: nowhere, tokens: signer, operator, secret: "a secret of this test alone, of 32 letters" },
    providers: [{ name: "card-a", url: provider.url, ...secrets }],
  });
  const server = await startServer({
    ...{ adminUrl, port: 0, version: "test", composition, logger: silentLogger() },
    tokens: createTokenVerifier({ ...realm, publicKeys: signer.publicKeys }),
  });
  const token = await signer.sign({ id: ids.uuid(), role: "operator" }, 600);
  return {
    services: composition.services.map(({ name }) => name),
    async call(method, path, body) {
      const headers = {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "idempotency-key": ids.uuid(),
      };
      const answer = await fetch(`${server.url}${path}`, {
        method,
        headers,
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
      return JSON.parse(text);
    },
    async stop() {
      await server.stop("the test is over");
      await provider.stop();
      await rm(directory, { recursive: true });
    },
  };
}

/** Sells one unit each in so many orders, over forty SKUs, and waits until the last of them is confirmed; a hall has seats. */
export async function sell(shop: WholeShop, orders: number): Promise<void> {
  const skus = Array.from({ length: 40 }, (_, index) => `sku-${index}`);
  await Promise.all(
    skus.map(async (sku) => {
      await shop.call("POST", "/v1/admin/products", { sku, name: sku, priceMinor: 100, currency: "GBP" });
      await shop.call("POST", "/v1/admin/stock-receipts", { sku, units: orders });
    }),
  );
  const seats = Array.from({ length: 1_000 }, (_, index) => `seat-${index}`);
  await shop.call("POST", "/v1/admin/products", { sku: "hall", name: "A hall", priceMinor: 100, currency: "GBP" });
  await shop.call("POST", "/v1/admin/unit-pools", { sku: "hall", units: seats });
  const placed = await waitFor(() => place(shop, skus, orders), { what: "the products at orders" });
  for (const orderId of placed) {
    await waitFor(
      async () => ((await shop.call("GET", `/v1/orders/${orderId}`)) as { status: string }).status === "CONFIRMED",
      {
        what: `the confirmation of ${orderId}`,
        withinMs: 60_000,
      },
    );
  }
}

/** The ids of the orders that were accepted, each once; undefined while a product is not known to orders yet. */
async function place(shop: WholeShop, skus: readonly string[], count: number): Promise<string[] | undefined> {
  const orders = Array.from({ length: count }, (_, index) => ({
    idempotencyKey: `order-${index}`,
    currency: "GBP",
    lines: [{ sku: skus[index % skus.length], quantity: 1 }],
    payment: { method: "card" },
  }));
  const { results } = (await shop.call("POST", "/v1/order-batches", { orders })) as { results: { orderId?: string }[] };
  const placed = results.flatMap(({ orderId }) => orderId ?? []);
  return placed.length === count ? placed : undefined;
}
