/** `outbox cost`: business transactions a second that also tell, over those that don't. */

import { randomInt, randomUUID } from "node:crypto";
import type { Database } from "@onsale/postgres";
import { median, pairedRow, round } from "../report.ts";
import { placeOrder, skus } from "./business.ts";
import { type Ground, writtenLogBytes } from "./ground.ts";
import { noteFor } from "./order-event.ts";
import type { PartOptions, PartReport } from "./part.ts";

/** Business keeps so much of its rate. */
const goal = 0.75;
/** Transactions at once: as many as the product's pool has connections. */
const clients = 16;
const payloadBytes = 200;

export async function benchOutboxCost(
  { shop, url }: Ground,
  { pairs, seconds, say, goOn }: PartOptions,
): Promise<PartReport> {
  const note = noteFor(payloadBytes);
  // Compiled code, prepared statements, tables that have some pages.
  await run(shop.database, seconds, note);
  const measured = [];
  for (let pair = 1; pair <= pairs; pair++) {
    goOn();
    const silent = await withLog(url, () => run(shop.database, seconds, undefined));
    const telling = await withLog(url, () => run(shop.database, seconds, note));
    measured.push({ silent, telling });
    say(
      `outbox cost, pair ${pair} of ${pairs}: ${telling.perSecond} transactions/s, ${silent.perSecond} without an event`,
    );
  }
  const rates = measured.map(({ silent, telling }) => ({ value: telling.perSecond, limit: silent.perSecond }));
  return {
    rows: [pairedRow("outbox cost", rates, { unit: "transactions/s", limit: "the same without an event", goal })],
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
