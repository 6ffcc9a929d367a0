/** A business transaction, with its event or without: stock down, order in, event out. */

import { publish } from "@onsale/messaging";
import { bigint, type Database, integer, sql, text, uuid } from "@onsale/postgres";
import { placed } from "./order-event.ts";

const takeStockSql = sql("bench.take-stock", { takes: [integer], gives: {} })`
  update stock set available = available - 1 where sku = $1 and available >= 1`;

const insertOrderSql = sql("bench.insert-order", { takes: [uuid, integer, integer, bigint, text], gives: {} })`
  insert into orders (order_id, sku, units, total_minor, status, placed_at) values ($1, $2, $3, $4, $5, now())`;

/** Products that are sold. */
export const skus = 1_000;

export interface BusinessOptions {
  /** Absent: the transaction tells nobody. */
  readonly note?: string;
  /** Called when the commit is about to be sent. */
  readonly beforeCommit?: () => void;
}

/** Whether there is stock has to be known before the order is written; the event goes to the server together with the order. */
export const placeOrder = (
  database: Database,
  { orderId, sku }: { orderId: string; sku: number },
  { note, beforeCommit }: BusinessOptions,
): Promise<void> =>
  database.transaction(async (tx) => {
    await tx.execute(takeStockSql, [sku]);
    await Promise.all([
      tx.execute(insertOrderSql, [orderId, sku, 1, 1530, "CONFIRMED"]),
      ...(note === undefined ? [] : [publish(tx, [placed(orderId, note)])]),
    ]);
    beforeCommit?.();
  });
