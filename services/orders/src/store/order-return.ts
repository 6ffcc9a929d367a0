import type { OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import { array, as, bigint, instant, integer, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { ReturnKind } from "../returns.ts";

export interface NewReturn {
  readonly returnId: ReturnId;
  readonly orderId: OrderId;
  readonly kind: ReturnKind;
  readonly refundMinor: number;
  readonly pointsMinor: number;
  readonly requestedAt: string;
  readonly lines: readonly { readonly sku: Sku; readonly quantity: number }[];
}

const insertReturnSql = sql("orders.insert-return", { takes: [uuid, uuid, text, bigint, bigint, instant], gives: {} })`
  insert into orders.order_return (return_id, order_id, kind, refund_minor, points_minor, requested_at)
  values ($1, $2, $3, $4, $5, $6)`;

const insertReturnLinesSql = sql("orders.insert-return-lines", {
  takes: [uuid, array(text), array(integer)],
  gives: {},
})`
  insert into orders.order_return_line (return_id, sku, quantity)
  select $1::uuid, sku, quantity from unnest($2::text[], $3::int[]) as line(sku, quantity)`;

export async function insertReturn(
  tx: Transaction,
  { returnId, orderId, kind, refundMinor, pointsMinor, requestedAt, lines }: NewReturn,
): Promise<void> {
  await Promise.all([
    tx.execute(insertReturnSql, [returnId, orderId, kind, refundMinor, pointsMinor, requestedAt]),
    tx.execute(insertReturnLinesSql, [returnId, lines.map((line) => line.sku), lines.map((line) => line.quantity)]),
  ]);
}

/** A return, and what it was paid with. */
export interface RefundTold {
  readonly returnId: ReturnId;
  readonly instrument: "card" | "points";
}

const claimRefundsSql = sql("orders.claim-refunds", {
  takes: [array(uuid), array(text)],
  gives: { returnId: as<ReturnId>(uuid), instrument: as<RefundTold["instrument"]>(text) },
})`
  insert into orders.order_refund (return_id, instrument)
  select distinct return_id, instrument from unnest($1::uuid[], $2::text[]) as told(return_id, instrument)
  on conflict do nothing
  returning return_id as "returnId", instrument`;

/** Those of these refunds that were never told before. */
export async function claimRefunds(tx: Transaction, told: readonly RefundTold[]): Promise<RefundTold[]> {
  if (told.length === 0) return [];
  return tx.query(claimRefundsSql, [told.map((it) => it.returnId), told.map((it) => it.instrument)]);
}
