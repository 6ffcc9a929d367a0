/** `outbox cost`: business transactions a second that also tell, over those that don't. */

import { randomInt, randomUUID } from "node:crypto";
import type { Database } from "@onsale/postgres";
import { type BenchRow, higherIsBetter, median, round } from "../report.ts";
import { placeOrder } from "./business.ts";
import { type Ground, writtenLogBytes } from "./ground.ts";
import { noteFor } from "./order-event.ts";

export interface OutboxCostOptions {
  readonly pairs: number;
  readonly seconds: number;
}

/** Business keeps so much of its rate. */
const goal = 0.75;
/** Transactions at once: as many as the product's pool has connections. */
const clients = 16;
const skus = 1_000;
const payloadBytes = 200;

export async function benchOutboxCost(
  { shop, url }: Ground,
  { pairs, seconds }: OutboxCostOptions,
): Promise<{ rows: BenchRow[]; details: object }> {
  const note = noteFor(payloadBytes);
  // Compiled code, prepared statements, tables that have some pages.
  await run(shop.database, seconds, note);
  const measured = [];
  for (let pair = 0; pair < pairs; pair++) {
    const silent = await withLog(url, () => run(shop.database, seconds, undefined));
    const telling = await withLog(url, () => run(shop.database, seconds, note));
    measured.push({ silent, telling });
  }
  const [value, without] = [
    median(measured.map(({ telling }) => telling.perSecond)),
    median(measured.map(({ silent }) => silent.perSecond)),
  ];
  const limit = { name: "the same without an event", value: without };
  return {
    rows: [higherIsBetter("outbox cost", value, "transactions/s", limit, goal)],
    details: {
      ...{ clients, payloadBytes, pairs: measured },
      logBytesPerEvent: round(
        median(measured.map(({ silent, telling }) => telling.logBytesPerTransaction - silent.logBytesPerTransaction)),
        0,
      ),
    },
  };
}

interface Run {
  readonly transactions: number;
  readonly perSecond: number;
}

/** Clients in a closed loop, all of this process. */
async function run(database: Database, seconds: number, note: string | undefined): Promise<Run> {
  const startedAt = performance.now();
  const end = startedAt + seconds * 1_000;
  let transactions = 0;
  const client = async () => {
    for (; performance.now() < end; transactions++) {
      const order = { orderId: randomUUID(), sku: randomInt(1, skus + 1) };
      await placeOrder(database, order, note === undefined ? {} : { note });
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { transactions, perSecond: round(transactions / ((performance.now() - startedAt) / 1_000)) };
}

async function withLog(url: string, measure: () => Promise<Run>): Promise<Run & { logBytesPerTransaction: number }> {
  const before = await writtenLogBytes(url);
  const measured = await measure();
  const bytes = (await writtenLogBytes(url)) - before;
  return { ...measured, logBytesPerTransaction: round(bytes / measured.transactions) };
}
