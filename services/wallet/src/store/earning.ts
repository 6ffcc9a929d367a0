import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import { array, as, bigint, integer, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Earning } from "../earning.ts";

const lockEarningsSql = sql("wallet.lock-earnings", {
  takes: [array(as<OrderId>(uuid))],
  gives: {
    orderId: as<OrderId>(uuid),
    personId: as<BuyerId>(uuid),
    currency: text,
    lotId: uuid,
    paidMinor: bigint,
    basisPoints: integer,
    earnedMinor: bigint,
    refundedMinor: bigint,
    takenBackMinor: bigint,
  },
})`
  select order_id as "orderId", person_id as "personId", currency, lot_id as "lotId", paid_minor as "paidMinor",
    basis_points as "basisPoints", earned_minor as "earnedMinor", refunded_minor as "refundedMinor",
    taken_back_minor as "takenBackMinor"
  from wallet.earning where order_id = any($1::uuid[]) order by order_id for update`;

/** Locks what these orders earned, in the order of their ids. One that earned nothing is absent. */
export async function lockEarnings(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Earning>> {
  if (orderIds.length === 0) return new Map();
  const rows = await tx.query(lockEarningsSql, [orderIds]);
  return new Map(rows.map((earning) => [earning.orderId, earning]));
}

const insertEarningsSql = sql("wallet.insert-earnings", {
  takes: [
    array(as<OrderId>(uuid)),
    array(as<BuyerId>(uuid)),
    array(text),
    array(uuid),
    array(bigint),
    array(integer),
    array(bigint),
  ],
  gives: {},
})`
  insert into wallet.earning (order_id, person_id, currency, lot_id, paid_minor, basis_points, earned_minor)
  select order_id, person_id, currency, lot_id, paid_minor, basis_points, earned_minor
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::int[], $7::bigint[])
    as earned(order_id, person_id, currency, lot_id, paid_minor, basis_points, earned_minor)`;

export async function insertEarnings(tx: Transaction, earnings: readonly Earning[]): Promise<void> {
  if (earnings.length === 0) return;
  await tx.execute(insertEarningsSql, [
    earnings.map(({ orderId }) => orderId),
    earnings.map(({ personId }) => personId),
    earnings.map(({ currency }) => currency),
    earnings.map(({ lotId }) => lotId),
    earnings.map(({ paidMinor }) => paidMinor),
    earnings.map(({ basisPoints }) => basisPoints),
    earnings.map(({ earnedMinor }) => earnedMinor),
  ]);
}

const updateEarningsSql = sql("wallet.update-earnings", {
  takes: [array(as<OrderId>(uuid)), array(bigint), array(bigint)],
  gives: {},
})`
  update wallet.earning e set refunded_minor = after.refunded_minor, taken_back_minor = after.taken_back_minor
  from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as after(order_id, refunded_minor, taken_back_minor)
  where e.order_id = after.order_id`;

/** Writes what went back of locked earnings. */
export async function updateEarnings(tx: Transaction, earnings: readonly Earning[]): Promise<void> {
  if (earnings.length === 0) return;
  await tx.execute(updateEarningsSql, [
    earnings.map(({ orderId }) => orderId),
    earnings.map(({ refundedMinor }) => refundedMinor),
    earnings.map(({ takenBackMinor }) => takenBackMinor),
  ]);
}
