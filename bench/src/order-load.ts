/**
 * A process of its own that keeps the shop busy with one-line orders, as a channel of the merchant hands them over: in
 * batches, with a bounded number of orders accepted and not yet ended. Told what to do by its parent, it reports when told
 * to stop.
 */

import { randomUUID } from "node:crypto";

export interface LoadOrder {
  readonly url: string;
  readonly accessToken: string;
  readonly skus: readonly string[];
  /** Orders of one request. */
  readonly batch: number;
  /** Orders accepted and not yet ended, at most. */
  readonly window: number;
}

export interface LoadReport {
  readonly accepted: number;
  readonly refused: number;
  readonly cpuSeconds: number;
}

/** Milliseconds between looks at how many orders have ended. The page of metrics costs the shop as much as a few orders. */
const lookEveryMs = 200;
const requestsAtOnce = 4;

class OrderLoad {
  readonly #order: LoadOrder;
  #accepted = 0;
  #refused = 0;
  #underWay = 0;
  #endedBefore: number | undefined;
  #ended = 0;
  #stopped = false;

  constructor(order: LoadOrder) {
    this.#order = order;
  }

  async run(): Promise<LoadReport> {
    this.#endedBefore = await this.#readEnded();
    const looking = this.#look();
    await Promise.all(Array.from({ length: requestsAtOnce }, () => this.#send()));
    await looking;
    const { user, system } = process.cpuUsage();
    return { accepted: this.#accepted, refused: this.#refused, cpuSeconds: (user + system) / 1_000_000 };
  }

  stop(): void {
    this.#stopped = true;
  }

  async #look(): Promise<void> {
    while (!this.#stopped) {
      this.#ended = (await this.#readEnded()) - (this.#endedBefore ?? 0);
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }

  async #send(): Promise<void> {
    const { batch, window } = this.#order;
    while (!this.#stopped) {
      if (this.#accepted + this.#underWay - this.#ended + batch > window) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      this.#underWay += batch;
      await this.#sendBatch();
      this.#underWay -= batch;
    }
  }

  async #sendBatch(): Promise<void> {
    const { url, accessToken, skus, batch } = this.#order;
    const orders = Array.from({ length: batch }, () => ({
      idempotencyKey: randomUUID(),
      currency: "GBP",
      lines: [{ sku: skus[Math.floor(Math.random() * skus.length)], quantity: 1 }],
      payment: { method: "card" },
    }));
    const response = await fetch(`${url}/v1/order-batches`, {
      method: "POST",
      headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
      body: JSON.stringify({ orders }),
    });
    const { results } = (await response.json()) as { results?: readonly { orderId?: string }[] };
    const accepted = results?.filter(({ orderId }) => orderId !== undefined).length ?? 0;
    this.#accepted += accepted;
    this.#refused += batch - accepted;
  }

  async #readEnded(): Promise<number> {
    const page = await (await fetch(`${this.#order.url}/metrics`)).text();
    return [...page.matchAll(/^onsale_orders_ended_total\{[^}]*\} (\d+)/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  }
}

process.once("message", (order: LoadOrder) => {
  const load = new OrderLoad(order);
  process.once("message", () => load.stop());
  load.run().then(
    (report) => process.send?.(report, () => process.disconnect()),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
