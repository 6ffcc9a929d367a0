/** The history of an order is enough to rebuild it: every order is built anew from its history and compared. */

import { type HistoryEntry, type OrderRow, rebuildRow } from "@onsale/orders/rebuild";
import { array, as, bigint, instant, integer, json, nullable, sql, text, uuid } from "@onsale/postgres";
import { type Check, type Finding, namedExamples, type Stores } from "./check.ts";

/** Orders with their histories in memory at once: some megabytes. */
const chunk = 1_000;

const ordersSql = sql("audit.orders-chunk", {
  takes: [uuid, bigint],
  gives: {
    ...{ orderId: uuid, buyerId: uuid, currency: text, totalMinor: bigint, lineCount: integer, pointsMinor: bigint },
    ...{
      method: as<OrderRow["method"]>(text),
      style: as<OrderRow["style"]>(text),
      correlationId: text,
      status: as<OrderRow["status"]>(text),
    },
    ...{ reason: nullable(as<NonNullable<OrderRow["reason"]>>(text)), progress: text, progressedAt: instant },
    ...{ version: integer, eventSequence: integer, paidMinor: bigint, refundedMinor: bigint },
    ...{ paidPointsMinor: bigint, refundedPointsMinor: bigint },
  },
})`
  select order_id as "orderId", buyer_id as "buyerId", currency, total_minor as "totalMinor", line_count as "lineCount",
    points_minor as "pointsMinor", payment_method as method, style, correlation_id as "correlationId", status, reason, progress,
    progressed_at as "progressedAt", version, event_sequence as "eventSequence", paid_minor as "paidMinor",
    refunded_minor as "refundedMinor", paid_points_minor as "paidPointsMinor", refunded_points_minor as "refundedPointsMinor"
  from orders.orders where order_id > $1 order by order_id limit $2`;

const historiesSql = sql("audit.histories-chunk", {
  takes: [array(uuid)],
  gives: {
    ...{ orderId: uuid, version: integer, at: instant, what: text, told: nullable(text) },
    ...{ status: as<HistoryEntry["status"]>(text), reason: nullable(as<NonNullable<HistoryEntry["reason"]>>(text)) },
    ...{ amountMinor: nullable(bigint), causedBy: nullable(text) },
    placed: nullable(json<NonNullable<HistoryEntry["placed"]>>()),
  },
})`
  select order_id as "orderId", version, at, what, told, status, reason, amount_minor as "amountMinor",
    caused_by as "causedBy", placed
  from orders.order_history where order_id = any($1) order by order_id, version`;

async function compareAll({ tx }: Stores): Promise<Finding> {
  const faults: string[] = [];
  let [rows, last] = [0, "00000000-0000-0000-0000-000000000000"];
  for (;;) {
    const orders = await tx.query(ordersSql, [last, chunk]);
    const ids = orders.map(({ orderId }) => orderId);
    const histories = Map.groupBy(await tx.query(historiesSql, [ids]), ({ orderId }) => orderId);
    faults.push(...orders.flatMap((order) => differenceOf(order, histories.get(order.orderId) ?? []) ?? []));
    rows += orders.length;
    last = ids.at(-1) ?? last;
    if (orders.length < chunk) return { rows, offending: faults.length, examples: faults.slice(0, namedExamples) };
  }
}

/** What its history says otherwise of an order than its row, if anything. */
function differenceOf(order: OrderRow, history: readonly HistoryEntry[]): string | undefined {
  try {
    const rebuilt = rebuildRow(history);
    const fields = (Object.keys(rebuilt) as (keyof OrderRow)[]).filter((field) => rebuilt[field] !== order[field]);
    if (fields.length === 0) return undefined;
    const different = fields.map((field) => `${field} ${order[field]}, by its history ${rebuilt[field]}`);
    return `order ${order.orderId} has ${different.join("; ")}`;
  } catch (error) {
    return `order ${order.orderId} can't be rebuilt: ${error instanceof Error ? error.message : error}`;
  }
}

export const rebuildCheck: Check = {
  id: "orders.rebuilt",
  invariant: 6,
  title: "Every order is what its history alone makes of it.",
  run: compareAll,
};
