import type { OrderId } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  instant,
  integer,
  json,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { EndReason } from "../news.ts";
import type { HistoryEntry, OrderStatus, Placed } from "../order.ts";

const insertHistorySql = sql("orders.insert-history", {
  takes: [
    array(uuid),
    array(integer),
    array(instant),
    array(text),
    array(nullable(text)),
    array(text),
    array(nullable(text)),
    array(nullable(bigint)),
    array(nullable(text)),
    array(nullable(json<Placed>())),
  ],
  gives: {},
})`
  insert into orders.order_history (order_id, version, at, what, told, status, reason, amount_minor, caused_by, placed)
  select order_id, version, at, what, told, status, reason, amount_minor, caused_by, placed
  from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
      $10::jsonb[])
    as entry(order_id, version, at, what, told, status, reason, amount_minor, caused_by, placed)`;

export async function insertHistory(tx: Transaction, entries: readonly HistoryEntry[]): Promise<void> {
  await tx.execute(insertHistorySql, [
    entries.map((entry) => entry.orderId),
    entries.map((entry) => entry.version),
    entries.map((entry) => entry.at),
    entries.map((entry) => entry.what),
    entries.map((entry) => entry.told),
    entries.map((entry) => entry.status),
    entries.map((entry) => entry.reason),
    entries.map((entry) => entry.amountMinor),
    entries.map((entry) => entry.causedBy),
    entries.map((entry) => entry.placed),
  ]);
}

/** From where on the history of an order is wanted. */
export interface HistoryWish {
  readonly orderId: OrderId;
  /** The last version that is known; 0 for all of it. */
  readonly after: number;
}

const readHistorySql = sql("orders.read-history", {
  takes: [array(uuid), array(integer), bigint],
  gives: {
    orderId: as<OrderId>(uuid),
    version: integer,
    at: instant,
    what: text,
    told: nullable(text),
    status: as<OrderStatus>(text),
    reason: nullable(as<EndReason>(text)),
    amountMinor: nullable(bigint),
    causedBy: nullable(text),
    placed: nullable(json<Placed>()),
  },
})`
  select entry.order_id as "orderId", entry.version, entry.at, entry.what, entry.told, entry.status, entry.reason,
    entry.amount_minor as "amountMinor", entry.caused_by as "causedBy", entry.placed
  from unnest($1::uuid[], $2::int[]) as wish(order_id, after)
  cross join lateral (
    select * from orders.order_history
    where order_history.order_id = wish.order_id and order_history.version > wish.after
    order by order_history.version
    limit $3
  ) entry`;

/** The next steps of each of these orders, at most `limit` of each, in order. */
export const readHistory = (
  queryable: Queryable,
  wishes: readonly HistoryWish[],
  limit: number,
): Promise<HistoryEntry[]> =>
  queryable.query(readHistorySql, [wishes.map((wish) => wish.orderId), wishes.map((wish) => wish.after), limit]);
