/** Who was granted units of a SKU, and who was refused them. */

import type { OrderId, Sku } from "@onsale/contracts/ids";
import { array, as, bigint, instant, integer, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Served, Unserved } from "../fairness.ts";

const insertRefusedSql = sql("inventory.insert-refused-wishes", {
  takes: [array(as<Sku>(text)), array(as<OrderId>(uuid)), array(integer), array(bigint)],
  gives: {},
})`
  insert into inventory.refused_wish (sku, order_id, units, available)
  select sku, order_id, units, available
  from unnest($1::text[], $2::uuid[], $3::int[], $4::bigint[]) as refused(sku, order_id, units, available)`;

export interface RefusedWish {
  readonly sku: Sku;
  readonly orderId: OrderId;
  readonly units: number;
  /** How much of it was left. */
  readonly available: number;
}

// The sum of an order's lines can be more than one hold may have; it is refused all the same.
const mostUnits = 2_147_483_647;

/** Writes what orders were refused as sold out. */
export async function insertRefused(tx: Transaction, refused: readonly RefusedWish[]): Promise<void> {
  if (refused.length === 0) return;
  await tx.execute(insertRefusedSql, [
    refused.map(({ sku }) => sku),
    refused.map(({ orderId }) => orderId),
    refused.map(({ units }) => Math.min(units, mostUnits)),
    refused.map(({ available }) => available),
  ]);
}

const countsSql = sql("inventory.fairness-counts", {
  takes: [as<Sku>(text)],
  gives: {
    granted: bigint,
    refused: bigint,
    firstRefusedArrival: nullable(bigint),
    lastGrantedArrival: nullable(bigint),
    firstRefusedAt: nullable(instant),
  },
})`
  select granted.orders as granted, refused.orders as refused, refused.first as "firstRefusedArrival",
    granted.last as "lastGrantedArrival", refused.at as "firstRefusedAt"
  from (
    select count(*) as orders, max(arrival) as last
    from inventory.allocation
    where kind = 'ORDER' and allocation_id in (
      select allocation_id from inventory.hold where sku = $1 and not brought)) as granted,
  (
    select count(*) as orders, min(arrival) as first, min(decided_at) as at
    from inventory.refused_wish join inventory.allocation on allocation_id = order_id
    where sku = $1) as refused`;

export async function fairnessCounts(tx: Transaction, sku: Sku) {
  const [counts] = await tx.query(countsSql, [sku]);
  if (!counts) throw new Error("A count gave no row.");
  return counts;
}

interface Behind {
  readonly sku: Sku;
  readonly arrival: number;
  readonly limit: number;
}

const grantedAfterSql = sql("inventory.granted-after", {
  takes: [as<Sku>(text), bigint, bigint],
  gives: { arrival: bigint, units: bigint, decidedAt: bigint },
})`
  select arrival, sum(units) as units, (extract(epoch from decided_at) * 1000000)::bigint as "decidedAt"
  from inventory.hold join inventory.allocation using (allocation_id)
  where sku = $1 and kind = 'ORDER' and not brought and arrival > $2
  group by allocation_id, arrival, decided_at order by arrival limit $3`;

/** Orders that arrived after this ticket and were granted units from the shelf, the first of them. */
export const grantedAfter = (tx: Transaction, { sku, arrival, limit }: Behind): Promise<Served[]> =>
  tx.query(grantedAfterSql, [sku, arrival, limit]);

const refusedBeforeSql = sql("inventory.refused-before", {
  takes: [as<Sku>(text), bigint, bigint],
  gives: { arrival: bigint, units: integer, available: bigint, decidedAt: bigint },
})`
  select arrival, units, available, (extract(epoch from decided_at) * 1000000)::bigint as "decidedAt"
  from inventory.refused_wish join inventory.allocation on allocation_id = order_id
  where sku = $1 and arrival < $2
  order by arrival limit $3`;

/** Orders that arrived before this ticket and were refused, the first of them. */
export const refusedBefore = (tx: Transaction, { sku, arrival, limit }: Behind): Promise<Unserved[]> =>
  tx.query(refusedBeforeSql, [sku, arrival, limit]);
