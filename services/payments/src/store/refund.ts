import type { OrderId, ReturnId } from "@onsale/contracts/ids";
import { array, as, bigint, integer, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Return } from "../payment.ts";

const readReturnsSql = sql("payments.read-refunds", {
  takes: [array(as<OrderId>(uuid))],
  gives: {
    orderId: as<OrderId>(uuid),
    returnId: as<ReturnId>(uuid),
    amountMinor: bigint,
    state: as<Return["state"]>(text),
  },
})`
  select order_id as "orderId", return_id as "returnId", amount_minor as "amountMinor", state
  from payments.refund where order_id = any($1::uuid[]) order by order_id, number`;

/** The returns of these orders in the order in which they came. Their payments' locks guard them. */
export async function readReturns(queryable: Queryable, orderIds: readonly OrderId[]): Promise<Map<OrderId, Return[]>> {
  const rows = await queryable.query(readReturnsSql, [orderIds]);
  return Map.groupBy(rows, ({ orderId }) => orderId) as Map<OrderId, Return[]>;
}

const storeReturnsSql = sql("payments.store-refunds", {
  takes: [
    array(as<ReturnId>(uuid)),
    array(as<OrderId>(uuid)),
    array(bigint),
    array(as<Return["state"]>(text)),
    array(integer),
  ],
  gives: {},
})`
  insert into payments.refund (return_id, order_id, amount_minor, state, number, ended_at)
  select return_id, order_id, amount_minor, state, number, case when state <> 'WANTED' then clock_timestamp() end
  from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::int[]) as wish(return_id, order_id, amount_minor, state, number)
  on conflict (return_id) do update set state = excluded.state, ended_at = coalesce(refund.ended_at, excluded.ended_at)`;

export type StoredReturn = Return & { readonly orderId: OrderId; readonly number: number };

/** Writes returns that are new or whose state has changed. */
export async function storeReturns(tx: Transaction, returns: readonly StoredReturn[]): Promise<void> {
  if (returns.length === 0) return;
  await tx.execute(storeReturnsSql, [
    returns.map(({ returnId }) => returnId),
    returns.map(({ orderId }) => orderId),
    returns.map(({ amountMinor }) => amountMinor),
    returns.map(({ state }) => state),
    returns.map(({ number }) => number),
  ]);
}
