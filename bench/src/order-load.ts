/**
 * A process of its own that keeps the shop busy with one-line orders: as a channel of the merchant hands them over, in
 * batches, or as buyers do, each with a request, a token and a key. What is accepted and not yet ended is bounded. Told what
 * to do by its parent, it says when it is ready, measures from "measure" to "stop", and reports.
 */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Dispatcher, Pool } from "undici";
import type { LogIn } from "./report.ts";
import { type Buyer, type LoggedIn, loggedIn } from "./shop-operator.ts";

export interface LoadOrder {
  readonly url: string;
  /** Who hands over the batches; without it each buyer orders for itself. */
  readonly channel?: LogIn;
  readonly buyers: readonly Buyer[];
  readonly method: "card" | "wallet";
  readonly skus: readonly string[];
  /** Orders accepted and not yet ended, at most; null: whatever the intake takes. */
  readonly window: number | null;
}

export interface LoadReport {
  /** Since the load began. */
  readonly acceptedInAll: number;
  readonly refusedInAll: number;
  /** From "measure" to "stop". */
  readonly accepted: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** From the request to its answer. */
  readonly answeredMs: { readonly p50: number; readonly p99: number };
}

export type LoadMessage = "ready" | LoadReport;

/** Milliseconds between looks at how many orders have ended. The page of metrics costs the shop as much as a few orders. */
const lookEveryMs = 200;
/** Milliseconds after which all who wait for room look again; one timer for all of them. */
const waitMs = 5;

/** One way in which orders reach the shop. */
interface Way {
  /** Orders of one request. */
  readonly orders: number;
  readonly requestsAtOnce: number;
  /** Gives how many orders were accepted. */
  send(): Promise<number>;
}

/** Four requests at once make a full batch of the intake. */
const channelWay = (order: LoadOrder, channel: LogIn): Way => {
  const { token } = loggedIn(order.url, channel);
  const orders = 250;
  const pool = new Pool(order.url, { connections: 4 });
  return {
    orders,
    requestsAtOnce: 4,
    async send() {
      const wishes = Array.from({ length: orders }, () => ({
        idempotencyKey: randomUUID(),
        buyerId: anyOf(order.buyers).accountId,
        ...wishOf(order),
      }));
      const { body } = await post(pool, "/v1/order-batches", { token, body: { orders: wishes } });
      const { results } = (await body.json()) as { results?: readonly { orderId?: string }[] };
      return results?.filter(({ orderId }) => orderId !== undefined).length ?? 0;
    },
  };
};

/** A crowd of buyers, each with a socket: what the sockets of one process bear without asking the system for more. */
const buyersAtOnce = 400;

const buyerWay = async (order: LoadOrder): Promise<Way> => {
  const buyers: LoggedIn[] = [];
  // One after another: passwords are slow on purpose, and nobody orders yet.
  for (const buyer of order.buyers) {
    const one = loggedIn(order.url, buyer);
    await one.token();
    buyers.push(one);
  }
  const pool = new Pool(order.url, { connections: buyersAtOnce });
  return {
    orders: 1,
    requestsAtOnce: buyersAtOnce,
    async send() {
      const { token } = anyOf(buyers);
      const { statusCode, body } = await post(pool, "/v1/orders", { token, body: wishOf(order) });
      await body.dump();
      return statusCode === 202 ? 1 : 0;
    },
  };
};

interface Request extends LoggedIn {
  readonly body: unknown;
}

/** Seconds after which a shop that had no time is asked again, as it says itself, and how often: two minutes of standstill. */
const againAfterSeconds = 1;
const triesAtMost = 120;

/** Whoever is answered that it took too long doesn't know whether it was done, and asks again with the same keys. */
async function post(pool: Pool, path: string, { token, body }: Request): Promise<Dispatcher.ResponseData> {
  const key = randomUUID();
  for (let tries = 1; ; tries++) {
    const headers = {
      authorization: `Bearer ${await token()}`,
      "content-type": "application/json",
      "idempotency-key": key,
    };
    const answer = await pool.request({ method: "POST", path, headers, body: JSON.stringify(body) });
    if (answer.statusCode !== 503 || tries === triesAtMost) return answer;
    await answer.body.dump();
    await sleep(againAfterSeconds * 1_000);
  }
}

const wishOf = ({ skus, method }: LoadOrder) => ({
  currency: "GBP",
  lines: [{ sku: anyOf(skus), quantity: 1 }],
  payment: { method },
});

function anyOf<Item>(items: readonly Item[]): Item {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new RangeError("There is none to choose from.");
  return item;
}

class OrderLoad {
  readonly #order: LoadOrder;
  readonly #way: Way;
  #accepted = 0;
  #refused = 0;
  #underWay = 0;
  #ended = 0;
  #stopped = false;
  #room: Promise<void> | undefined;
  #measured = { from: performance.now(), accepted: 0, cpu: process.cpuUsage(), answeredMs: [] as number[] };

  constructor(order: LoadOrder, way: Way) {
    this.#order = order;
    this.#way = way;
  }

  async run(): Promise<LoadReport> {
    const endedBefore = await this.#readEnded();
    const looking = this.#order.window === null ? undefined : this.#look(endedBefore);
    await Promise.all(Array.from({ length: this.#way.requestsAtOnce }, () => this.#send()));
    const report = this.#report();
    await looking;
    return report;
  }

  measure(): void {
    this.#measured = { from: performance.now(), accepted: this.#accepted, cpu: process.cpuUsage(), answeredMs: [] };
  }

  stop(): void {
    this.#stopped = true;
  }

  #report(): LoadReport {
    const { from, accepted, cpu, answeredMs } = this.#measured;
    const { user, system } = process.cpuUsage(cpu);
    const sorted = answeredMs.sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
    return {
      acceptedInAll: this.#accepted,
      refusedInAll: this.#refused,
      accepted: this.#accepted - accepted,
      seconds: (performance.now() - from) / 1_000,
      cpuSeconds: (user + system) / 1_000_000,
      answeredMs: { p50: at(0.5), p99: at(0.99) },
    };
  }

  async #look(endedBefore: number): Promise<void> {
    while (!this.#stopped) {
      this.#ended = (await this.#readEnded()) - endedBefore;
      await sleep(lookEveryMs);
    }
  }

  async #send(): Promise<void> {
    const { orders } = this.#way;
    const window = this.#order.window ?? Number.POSITIVE_INFINITY;
    while (!this.#stopped) {
      if (this.#accepted + this.#underWay - this.#ended + orders > window) {
        await this.#untilRoom();
        continue;
      }
      this.#underWay += orders;
      const sentAt = performance.now();
      const accepted = await this.#way.send();
      this.#measured.answeredMs.push(performance.now() - sentAt);
      this.#accepted += accepted;
      this.#refused += orders - accepted;
      this.#underWay -= orders;
    }
  }

  #untilRoom(): Promise<void> {
    this.#room ??= sleep(waitMs).then(() => {
      this.#room = undefined;
    });
    return this.#room;
  }

  async #readEnded(): Promise<number> {
    const page = await (await fetch(`${this.#order.url}/metrics`)).text();
    return [...page.matchAll(/^onsale_orders_ended_total\{[^}]*\} (\d+)/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  }
}

async function work(order: LoadOrder): Promise<LoadReport> {
  const load = new OrderLoad(order, order.channel ? channelWay(order, order.channel) : await buyerWay(order));
  process.on("message", (message: "measure" | "stop") => (message === "stop" ? load.stop() : load.measure()));
  process.send?.("ready" satisfies LoadMessage);
  return await load.run();
}

process.once("message", (order: LoadOrder) => {
  work(order).then(
    (report) => process.send?.(report satisfies LoadMessage, () => process.exit(0)),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
