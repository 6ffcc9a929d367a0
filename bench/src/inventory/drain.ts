/** A backlog of orders for one product, of which there is always enough: what the service itself can do. */

import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { withClient } from "../plain-order.ts";
import { answersOf, endlessSku, type HotShop, measured, type ProcessorTime, startInventory } from "./hot-shop.ts";
import { ordersOfTransaction, placeOrders } from "./placed.ts";

export interface Drained extends ProcessorTime {
  /** Reservations. */
  readonly perSecond: number;
}

const lookEveryMs = 20;

/** Reserves a backlog of orders that lies ready. */
export async function drain({ url, stock }: HotShop, orders: number): Promise<Drained> {
  return await withClient(url, async (client) => {
    const { held: before } = await answersOf(client, endlessSku);
    const waiting = await fillOutbox(client, orders);
    return await measured(client, async () => {
      const feeds = startInventory(stock);
      try {
        while ((await answersOf(client, endlessSku)).held < before + waiting) await sleep(lookEveryMs);
      } finally {
        await feeds.drain();
      }
      return { reservations: waiting };
    });
  });
}

async function fillOutbox(client: pg.Client, orders: number): Promise<number> {
  const transactions = Math.ceil(orders / ordersOfTransaction);
  for (let transaction = 0; transaction < transactions; transaction++)
    await placeOrders(client, endlessSku, ordersOfTransaction);
  return transactions * ordersOfTransaction;
}
