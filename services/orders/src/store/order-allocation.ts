import type { OrderId, Sku } from "@onsale/contracts/ids";
import { array, as, bigint, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Allocation } from "../allocation.ts";

const insertAllocationsSql = sql("orders.insert-allocations", {
  takes: [array(uuid), array(text), array(text), array(text), array(bigint)],
  gives: {},
})`
  insert into orders.order_allocation (order_id, sku, kind, borne_by, amount_minor)
  select order_id, sku, kind, borne_by, amount_minor
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[])
    as allocation(order_id, sku, kind, borne_by, amount_minor)`;

/** Writes who bears the prices of orders that are placed in this transaction. */
export async function insertAllocations(
  tx: Transaction,
  allocations: readonly (Allocation & { readonly orderId: OrderId })[],
): Promise<void> {
  if (allocations.length === 0) return;
  await tx.execute(insertAllocationsSql, [
    allocations.map((it) => it.orderId),
    allocations.map((it) => it.sku),
    allocations.map((it) => it.kind),
    allocations.map((it) => it.borneBy),
    allocations.map((it) => it.amountMinor),
  ]);
}

const readAllocationsSql = sql("orders.read-allocations", {
  takes: [uuid],
  gives: { sku: as<Sku>(text), kind: as<Allocation["kind"]>(text), borneBy: text, amountMinor: bigint },
})`
  select sku, kind, borne_by as "borneBy", amount_minor as "amountMinor"
  from orders.order_allocation where order_id = $1 order by sku, kind, borne_by`;

/** Who bears the prices of an order's lines, where it is not the card. */
export const readAllocations = (queryable: Queryable, orderId: OrderId): Promise<Allocation[]> =>
  queryable.query(readAllocationsSql, [orderId]);
