import type { BuyerId, OrderId, ReturnId } from "@onsale/contracts/ids";
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
import type { Bearer, LotSource } from "../lot.ts";
import type { GivenBack, OrderPart, OrderPoints, OrderPointsState } from "../order-points.ts";
import type { Part } from "../purse.ts";

const knownOrdersSql = sql("wallet.known-orders", {
  takes: [array(as<OrderId>(uuid))],
  gives: { orderId: as<OrderId>(uuid) },
})`
  select order_id as "orderId" from wallet.order_points where order_id = any($1::uuid[])`;

/** Those of the orders whose points were decided on before. */
export async function knownOrders(tx: Transaction, orderIds: readonly OrderId[]): Promise<ReadonlySet<OrderId>> {
  const rows = await tx.query(knownOrdersSql, [orderIds]);
  return new Set(rows.map(({ orderId }) => orderId));
}

const insertOrdersSql = sql("wallet.insert-order-points", {
  takes: [
    array(as<OrderId>(uuid)),
    array(as<BuyerId>(uuid)),
    array(text),
    array(bigint),
    array(as<OrderPointsState>(text)),
  ],
  gives: {},
})`
  insert into wallet.order_points (order_id, person_id, currency, amount_minor, state, version)
  select order_id, person_id, currency, amount_minor, state, 1
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[])
    as decided(order_id, person_id, currency, amount_minor, state)`;

const insertPartsSql = sql("wallet.insert-order-parts", {
  takes: [array(as<OrderId>(uuid)), array(integer), array(uuid), array(bigint)],
  gives: {},
})`
  insert into wallet.order_part (order_id, number, lot_id, amount_minor)
  select order_id, number, lot_id, amount_minor
  from unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[]) as taken(order_id, number, lot_id, amount_minor)`;

type DecidedOrder = Omit<OrderPoints, "version"> & { readonly parts: readonly Part[] };

/** Writes what was decided for orders that wallet had not heard of: their first version. */
export async function insertOrderPoints(tx: Transaction, orders: readonly DecidedOrder[]): Promise<void> {
  const parts = orders.flatMap(({ orderId, parts }) =>
    parts.map((part, index) => ({ orderId, number: index + 1, ...part })),
  );
  await Promise.all([
    tx.execute(insertOrdersSql, [
      orders.map(({ orderId }) => orderId),
      orders.map(({ personId }) => personId),
      orders.map(({ currency }) => currency),
      orders.map(({ amountMinor }) => amountMinor),
      orders.map(({ state }) => state),
    ]),
    parts.length > 0 &&
      tx.execute(insertPartsSql, [
        parts.map(({ orderId }) => orderId),
        parts.map(({ number }) => number),
        parts.map(({ lotId }) => lotId),
        parts.map(({ amountMinor }) => amountMinor),
      ]),
  ]);
}

const orderPointsColumns = {
  orderId: as<OrderId>(uuid),
  personId: as<BuyerId>(uuid),
  currency: text,
  amountMinor: bigint,
  state: as<OrderPointsState>(text),
  version: integer,
} as const;

const lockOrdersSql = sql("wallet.lock-order-points", {
  takes: [array(as<OrderId>(uuid))],
  gives: orderPointsColumns,
})`
  select order_id as "orderId", person_id as "personId", currency, amount_minor as "amountMinor", state, version
  from wallet.order_points where order_id = any($1::uuid[]) order by order_id for update`;

/** Locks the points of these orders in the order of their ids; before any balance, in every transaction. */
export const lockOrderPoints = async (tx: Transaction, orderIds: readonly OrderId[]): Promise<OrderPoints[]> =>
  orderIds.length > 0 ? await tx.query(lockOrdersSql, [orderIds]) : [];

const partsOfSql = sql("wallet.parts-of-orders", {
  takes: [array(as<OrderId>(uuid))],
  gives: {
    orderId: as<OrderId>(uuid),
    number: integer,
    lotId: uuid,
    amountMinor: bigint,
    givenBackMinor: bigint,
    expiresAt: nullable(instant),
  },
})`
  select part.order_id as "orderId", part.number, part.lot_id as "lotId", part.amount_minor as "amountMinor",
    part.given_back_minor as "givenBackMinor", lot.expires_at as "expiresAt"
  from wallet.order_part part join wallet.lot lot on lot.lot_id = part.lot_id
  where part.order_id = any($1::uuid[])`;

/** What these orders took from which lots. Their order's lock guards them. */
export async function partsOf(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, OrderPart[]>> {
  const rows = await tx.query(partsOfSql, [orderIds]);
  return Map.groupBy(rows, ({ orderId }) => orderId) as Map<OrderId, OrderPart[]>;
}

const updateOrdersSql = sql("wallet.update-order-points", {
  takes: [array(as<OrderId>(uuid)), array(as<OrderPointsState>(text)), array(integer)],
  gives: {},
})`
  update wallet.order_points o set state = after.state, version = after.version
  from unnest($1::uuid[], $2::text[], $3::int[]) as after(order_id, state, version) where o.order_id = after.order_id`;

/** Writes what a step may change. The caller holds the rows' locks. */
export async function updateOrderPoints(
  tx: Transaction,
  orders: readonly Pick<OrderPoints, "orderId" | "state" | "version">[],
): Promise<void> {
  if (orders.length === 0) return;
  await tx.execute(updateOrdersSql, [
    orders.map(({ orderId }) => orderId),
    orders.map(({ state }) => state),
    orders.map(({ version }) => version),
  ]);
}

const giveBackSql = sql("wallet.give-back-parts", {
  takes: [array(as<OrderId>(uuid)), array(integer), array(bigint)],
  gives: {},
})`
  update wallet.order_part p set given_back_minor = p.given_back_minor + back.amount_minor
  from (
    select order_id, number, sum(amount_minor)::bigint as amount_minor
    from unnest($1::uuid[], $2::int[], $3::bigint[]) as one(order_id, number, amount_minor) group by order_id, number
  ) as back
  where p.order_id = back.order_id and p.number = back.number`;

/** Takes off the parts of locked orders what went back. */
export async function giveBackParts(
  tx: Transaction,
  back: readonly (Pick<GivenBack, "number" | "amountMinor"> & { readonly orderId: OrderId })[],
): Promise<void> {
  if (back.length === 0) return;
  await tx.execute(giveBackSql, [
    back.map(({ orderId }) => orderId),
    back.map(({ number }) => number),
    back.map(({ amountMinor }) => amountMinor),
  ]);
}

const knownReturnsSql = sql("wallet.known-returns", {
  takes: [array(as<ReturnId>(uuid))],
  gives: { returnId: as<ReturnId>(uuid) },
})`
  select return_id as "returnId" from wallet.order_return where return_id = any($1::uuid[])`;

/** Those of the returns that were dealt with before. */
export async function knownReturns(tx: Transaction, returnIds: readonly ReturnId[]): Promise<ReadonlySet<ReturnId>> {
  const rows = await tx.query(knownReturnsSql, [returnIds]);
  return new Set(rows.map(({ returnId }) => returnId));
}

const insertReturnsSql = sql("wallet.insert-returns", {
  takes: [array(as<ReturnId>(uuid)), array(as<OrderId>(uuid)), array(bigint)],
  gives: {},
})`
  insert into wallet.order_return (return_id, order_id, given_back_minor)
  select return_id, order_id, given_back_minor
  from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as back(return_id, order_id, given_back_minor)`;

/** Records returns, each with what was given back for it. */
export async function insertReturns(
  tx: Transaction,
  returns: readonly { readonly returnId: ReturnId; readonly orderId: OrderId; readonly givenBackMinor: number }[],
): Promise<void> {
  if (returns.length === 0) return;
  await tx.execute(insertReturnsSql, [
    returns.map(({ returnId }) => returnId),
    returns.map(({ orderId }) => orderId),
    returns.map(({ givenBackMinor }) => givenBackMinor),
  ]);
}

const readOrderSql = sql("wallet.read-order-points", { takes: [as<OrderId>(uuid)], gives: orderPointsColumns })`
  select order_id as "orderId", person_id as "personId", currency, amount_minor as "amountMinor", state, version
  from wallet.order_points where order_id = $1`;

const readPartsSql = sql("wallet.read-order-parts", {
  takes: [as<OrderId>(uuid)],
  gives: {
    source: as<LotSource>(text),
    bearers: json<readonly Bearer[]>(),
    amountMinor: bigint,
    givenBackMinor: bigint,
    expiresAt: nullable(instant),
  },
})`
  select lot.source, lot.bearers, part.amount_minor as "amountMinor", part.given_back_minor as "givenBackMinor",
    lot.expires_at as "expiresAt"
  from wallet.order_part part join wallet.lot lot on lot.lot_id = part.lot_id
  where part.order_id = $1 order by part.number`;

/** An order's points with the lots they came from; undefined where it wanted none. */
export async function readOrderPoints(queryable: Queryable, orderId: OrderId) {
  const [[order], parts] = await Promise.all([
    queryable.query(readOrderSql, [orderId]),
    queryable.query(readPartsSql, [orderId]),
  ]);
  return order && { ...order, parts };
}
