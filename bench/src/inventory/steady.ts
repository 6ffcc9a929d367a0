/** A steady load, open: requests are due whether or not earlier ones have their answers. */

import { setTimeout as sleep } from "node:timers/promises";
import { stockReserved } from "@onsale/contracts/inventory";
import { orderPlaced } from "@onsale/contracts/orders";
import { fact, publish } from "@onsale/messaging";
import { ids } from "@onsale/runtime";
import { withClient } from "../plain-order.ts";
import { round } from "../report.ts";
import type { GatedShop } from "./crowd.ts";
import { endlessSku, type HotShop, startInventory } from "./hot-shop.ts";

export interface Steady {
  readonly orders: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** The load comes in batches of so many milliseconds, as an intake under that load commits them. */
const tickMs = 10;
const warmUpMs = 1_000;

/** From the moment a request is due (before the gate, where there is one) to the row of its reservation. */
export async function steady(
  { url, orders, stock }: HotShop,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
  gated?: GatedShop,
): Promise<Steady> {
  const feeds = startInventory(stock, gated?.gate);
  const perTick = Math.max(1, Math.round((perSecond * tickMs) / 1_000));
  const dueAt = new Map<string, number>();
  const startedAt = Date.now();
  const underWay: Promise<void>[] = [];
  try {
    for (let due = startedAt; due < startedAt + seconds * 1_000; due += tickMs) {
      await sleep(Math.max(0, due - Date.now()));
      const orderIds = Array.from({ length: perTick }, () => ids.uuid());
      for (const orderId of orderIds) dueAt.set(orderId, due);
      underWay.push(place(orderIds));
    }
    await Promise.all(underWay);
    return latencies(await untilAnswered(url, dueAt), startedAt + warmUpMs);
  } finally {
    await feeds.drain();
  }

  async function place(orderIds: readonly string[]): Promise<void> {
    const admissions = await Promise.all(
      orderIds.map((key) => gated?.gate.admit({ personId: "steady", key }, [{ sku: endlessSku, quantity: 1 }])),
    );
    if (admissions.some((admission) => admission?.kind === "sold-out"))
      throw new Error("The gate turned somebody away from what there is enough of.");
    await orders.transaction((tx) => publish(tx, orderIds.map(placedOrder)));
  }
}

function placedOrder(orderId: string) {
  const data = {
    ...orderPlaced.sample,
    orderId,
    buyerId: ids.uuid(),
    lines: [{ sku: endlessSku, units: 1, unitPriceMinor: 255 }],
  };
  return fact(orderPlaced, { data, sequence: 1, cause: { correlationId: orderId } });
}

/** When each order was due and when it was answered, in milliseconds. */
interface Answer {
  readonly dueAt: number;
  readonly answeredAt: number;
}

async function untilAnswered(url: string, dueAt: ReadonlyMap<string, number>): Promise<Answer[]> {
  const giveUpAt = performance.now() + 60_000;
  return await withClient(url, async (client) => {
    for (;;) {
      const { rows } = await client.query(
        `select aggregateid as "orderId", extract(epoch from created_at)::float8 * 1000 as "answeredAt"
         from inventory.outbox_online where type = $1 and aggregateid = any($2)`,
        [stockReserved.type, [...dueAt.keys()]],
      );
      if (rows.length === dueAt.size)
        return rows.map(({ orderId, answeredAt }) => ({ dueAt: dueAt.get(orderId) ?? 0, answeredAt }));
      if (performance.now() > giveUpAt)
        throw new Error(`${dueAt.size - rows.length} orders were not answered within a minute.`);
      await sleep(200);
    }
  });
}

function latencies(answers: readonly Answer[], since: number): Steady {
  const ms = answers
    .filter(({ dueAt }) => dueAt >= since)
    .map(({ dueAt, answeredAt }) => answeredAt - dueAt)
    .sort((one, other) => one - other);
  const quantile = (share: number) => round(ms[Math.min(ms.length - 1, Math.floor(share * ms.length))] ?? 0);
  return { orders: ms.length, p50Ms: quantile(0.5), p95Ms: quantile(0.95), p99Ms: quantile(0.99) };
}
