import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { EndReason } from "../news.ts";
import type { Balance, Order, OrderStatus } from "../order.ts";
import { firstProgress, type OrderMethod, sagaOf } from "../order-saga.ts";

const orderColumns = {
  orderId: as<OrderId>(uuid),
  buyerId: as<BuyerId>(uuid),
  currency: text,
  totalMinor: bigint,
  lineCount: integer,
  method: as<Order["method"]>(text),
  style: as<Order["style"]>(text),
  pointsMinor: bigint,
  correlationId: text,
  status: as<OrderStatus>(text),
  reason: nullable(as<EndReason>(text)),
  progress: text,
  progressedAt: instant,
  version: integer,
  eventSequence: integer,
  paidMinor: bigint,
  refundedMinor: bigint,
  paidPointsMinor: bigint,
  refundedPointsMinor: bigint,
} as const;

type OrderRow = Omit<Order, "progress" | "balance"> & Balance & { readonly progress: string };

const toOrder = ({ paidMinor, refundedMinor, paidPointsMinor, refundedPointsMinor, ...row }: OrderRow): Order => ({
  ...row,
  progress: sagaOf(row).parse(row.progress),
  balance: { paidMinor, refundedMinor, paidPointsMinor, refundedPointsMinor },
});
const byId = (rows: readonly OrderRow[]): Map<OrderId, Order> =>
  new Map(rows.map((row) => [row.orderId, toOrder(row)]));

const lockOrdersSql = sql("orders.lock-orders", { takes: [array(uuid)], gives: orderColumns })`
  select order_id as "orderId", buyer_id as "buyerId", currency, total_minor as "totalMinor", line_count as "lineCount",
    payment_method as method, style, points_minor as "pointsMinor", correlation_id as "correlationId", status, reason, progress,
    progressed_at as "progressedAt", version, event_sequence as "eventSequence", paid_minor as "paidMinor",
    refunded_minor as "refundedMinor", paid_points_minor as "paidPointsMinor", refunded_points_minor as "refundedPointsMinor"
  from orders.orders where order_id = any($1) order by order_id for no key update`;

/** Locks the rows of these orders in the order of their ids. An order that is not known is absent from the result. */
export const lockOrders = async (tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Order>> =>
  byId(await tx.query(lockOrdersSql, [orderIds]));

const lockFreeOrdersSql = sql("orders.lock-free-orders", { takes: [array(uuid)], gives: orderColumns })`
  select order_id as "orderId", buyer_id as "buyerId", currency, total_minor as "totalMinor", line_count as "lineCount",
    payment_method as method, style, points_minor as "pointsMinor", correlation_id as "correlationId", status, reason, progress,
    progressed_at as "progressedAt", version, event_sequence as "eventSequence", paid_minor as "paidMinor",
    refunded_minor as "refundedMinor", paid_points_minor as "paidPointsMinor", refunded_points_minor as "refundedPointsMinor"
  from orders.orders where order_id = any($1) order by order_id for no key update skip locked`;

/** The same, but orders that somebody else holds at the moment are left out: it never waits. */
export const lockFreeOrders = async (tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Order>> =>
  byId(await tx.query(lockFreeOrdersSql, [orderIds]));

const updateOrdersSql = sql("orders.update-orders", {
  takes: [
    array(uuid),
    array(text),
    array(nullable(text)),
    array(text),
    array(instant),
    array(integer),
    array(integer),
    array(bigint),
    array(bigint),
    array(bigint),
    array(bigint),
  ],
  gives: {},
})`
  update orders.orders
  set status = after.status, reason = after.reason, progress = after.progress, progressed_at = after.progressed_at,
    version = after.version, event_sequence = after.event_sequence, paid_minor = after.paid_minor,
    refunded_minor = after.refunded_minor, paid_points_minor = after.paid_points_minor,
    refunded_points_minor = after.refunded_points_minor
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::int[], $7::int[], $8::bigint[], $9::bigint[],
      $10::bigint[], $11::bigint[])
    as after(order_id, status, reason, progress, progressed_at, version, event_sequence, paid_minor, refunded_minor,
      paid_points_minor, refunded_points_minor)
  where orders.order_id = after.order_id`;

/** Writes what a step may change. The caller holds the rows' locks. */
export async function updateOrders(tx: Transaction, orders: readonly Order[]): Promise<void> {
  await tx.execute(updateOrdersSql, [
    orders.map((order) => order.orderId),
    orders.map((order) => order.status),
    orders.map((order) => order.reason),
    orders.map((order) => sagaOf(order).format(order.progress)),
    orders.map((order) => order.progressedAt),
    orders.map((order) => order.version),
    orders.map((order) => order.eventSequence),
    orders.map((order) => order.balance.paidMinor),
    orders.map((order) => order.balance.refundedMinor),
    orders.map((order) => order.balance.paidPointsMinor),
    orders.map((order) => order.balance.refundedPointsMinor),
  ]);
}

/** What is known of an order when it is placed. */
export interface NewOrder
  extends Pick<
    Order,
    | "orderId"
    | "buyerId"
    | "currency"
    | "totalMinor"
    | "lineCount"
    | "method"
    | "style"
    | "pointsMinor"
    | "correlationId"
  > {
  /** Its ticket. */
  readonly arrival: number;
}

const insertOrdersSql = sql("orders.insert-orders", {
  takes: [
    array(uuid),
    array(uuid),
    array(bigint),
    array(text),
    array(bigint),
    array(integer),
    array(text),
    array(text),
    array(bigint),
    array(text),
    text,
    text,
    instant,
  ],
  gives: {},
})`
  insert into orders.orders (order_id, buyer_id, arrival, currency, total_minor, line_count, payment_method, correlation_id,
    points_minor, style, status, progress, placed_at, progressed_at, version, event_sequence, paid_minor, refunded_minor,
    paid_points_minor, refunded_points_minor)
  select order_id, buyer_id, arrival, currency, total_minor, line_count, payment_method, correlation_id, points_minor, style,
    $11::text, $12::text, $13::timestamptz, $13::timestamptz, 1, 1, 0, 0, 0, 0
  from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::text[], $9::bigint[],
      $10::text[])
    as placed(order_id, buyer_id, arrival, currency, total_minor, line_count, payment_method, correlation_id, points_minor, style)`;

/** Inserts orders that were placed together, at their first step. */
export async function insertOrders(tx: Transaction, orders: readonly NewOrder[], placedAt: string): Promise<void> {
  await tx.execute(insertOrdersSql, [
    orders.map((order) => order.orderId),
    orders.map((order) => order.buyerId),
    orders.map((order) => order.arrival),
    orders.map((order) => order.currency),
    orders.map((order) => order.totalMinor),
    orders.map((order) => order.lineCount),
    orders.map((order) => order.method),
    orders.map((order) => order.correlationId),
    orders.map((order) => order.pointsMinor),
    orders.map((order) => order.style),
    "PENDING",
    firstProgress,
    placedAt,
  ]);
}

const drawTicketsSql = sql("orders.draw-tickets", { takes: [integer], gives: { arrival: bigint, at: instant } })`
  select nextval('orders.arrival') as arrival, statement_timestamp() as at from generate_series(1, $1)`;

export interface Tickets {
  /** Ascending. */
  readonly arrivals: readonly number[];
  /** When they were drawn, by the database's clock. */
  readonly at: string;
}

/** Draws `count` (at least one) arrival tickets. */
export async function drawTickets(tx: Transaction, count: number): Promise<Tickets> {
  const rows = await tx.query(drawTicketsSql, [count]);
  const [first] = rows;
  if (!first) throw new RangeError(`${count} tickets can't be drawn.`);
  return { arrivals: rows.map((row) => row.arrival), at: first.at };
}

const orderViewColumns = {
  orderId: as<OrderId>(uuid),
  buyerId: as<BuyerId>(uuid),
  status: as<OrderStatus>(text),
  reason: nullable(as<EndReason>(text)),
  currency: text,
  totalMinor: bigint,
  method: as<OrderMethod>(text),
  pointsMinor: bigint,
  paidMinor: bigint,
  refundedMinor: bigint,
  paidPointsMinor: bigint,
  refundedPointsMinor: bigint,
  placedAt: instant,
  version: integer,
} as const;

/** An order as its buyer sees it. */
export interface OrderView extends Balance {
  readonly orderId: OrderId;
  readonly buyerId: BuyerId;
  readonly status: OrderStatus;
  readonly reason: EndReason | null;
  readonly currency: string;
  readonly totalMinor: number;
  readonly method: OrderMethod;
  readonly pointsMinor: number;
  readonly placedAt: string;
  readonly version: number;
}

const readOrderSql = sql("orders.read-order", { takes: [uuid], gives: orderViewColumns })`
  select order_id as "orderId", buyer_id as "buyerId", status, reason, currency, total_minor as "totalMinor",
    payment_method as method, points_minor as "pointsMinor", paid_minor as "paidMinor", refunded_minor as "refundedMinor",
    paid_points_minor as "paidPointsMinor", refunded_points_minor as "refundedPointsMinor", placed_at as "placedAt", version
  from orders.orders where order_id = $1`;

export const readOrder = async (queryable: Queryable, orderId: OrderId): Promise<OrderView | undefined> =>
  (await queryable.query(readOrderSql, [orderId]))[0];

const listOrdersSql = sql("orders.list-orders", { takes: [uuid, nullable(uuid), bigint], gives: orderViewColumns })`
  select order_id as "orderId", buyer_id as "buyerId", status, reason, currency, total_minor as "totalMinor",
    payment_method as method, points_minor as "pointsMinor", paid_minor as "paidMinor", refunded_minor as "refundedMinor",
    paid_points_minor as "paidPointsMinor", refunded_points_minor as "refundedPointsMinor", placed_at as "placedAt", version
  from orders.orders
  where buyer_id = $1 and order_id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  order by order_id desc
  limit $3`;

/** A person's orders, newest first, those before `after` in that order. */
export const listOrders = (
  queryable: Queryable,
  { buyerId, after, limit }: { readonly buyerId: BuyerId; readonly after: OrderId | null; readonly limit: number },
): Promise<OrderView[]> => queryable.query(listOrdersSql, [buyerId, after, limit]);
