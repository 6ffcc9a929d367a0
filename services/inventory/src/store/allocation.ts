import type { BuyerId, HoldId, OrderId, Sku } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  boolean,
  instant,
  integer,
  nullable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { Allocation, AllocationState } from "../allocation.ts";
import type { Location } from "../location.ts";
import type { Decision } from "../stock.ts";

const allocatedSql = sql("inventory.allocated", {
  takes: [array(as<OrderId>(uuid))],
  gives: { orderId: as<OrderId>(uuid) },
})`
  select order_id as "orderId" from inventory.allocation where order_id = any($1::uuid[])`;

/** Those of the orders that have an allocation, or a mark that they shall get none. */
export async function allocated(tx: Transaction, orderIds: readonly OrderId[]): Promise<ReadonlySet<OrderId>> {
  const rows = await tx.query(allocatedSql, [orderIds]);
  return new Set(rows.map(({ orderId }) => orderId));
}

const insertAllocationsSql = sql("inventory.insert-allocations", {
  takes: [array(as<OrderId>(uuid)), array(text), array(as<BuyerId>(uuid)), array(nullable(instant))],
  gives: {},
})`
  insert into inventory.allocation (order_id, state, version, buyer_id, expires_at)
  select order_id, state, 1, buyer_id, expires_at
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[]) as decided(order_id, state, buyer_id, expires_at)`;

const insertHoldsSql = sql("inventory.insert-holds", {
  takes: [
    array(as<HoldId>(uuid)),
    array(as<OrderId>(uuid)),
    array(as<Sku>(text)),
    array(as<Location>(text)),
    array(integer),
    array(boolean),
  ],
  gives: {},
})`
  insert into inventory.hold (hold_id, order_id, sku, location, units, limited)
  select hold_id, order_id, sku, location, units, limited
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::boolean[])
    as taken(hold_id, order_id, sku, location, units, limited)`;

/** Writes what was decided for orders that had no allocation: their first version. */
export async function storeDecisions(tx: Transaction, decisions: readonly Decision[]): Promise<void> {
  const holds = decisions
    .filter((decision) => decision.kind === "reserved")
    .flatMap((decision) => decision.holds.map((hold) => ({ orderId: decision.wish.orderId, ...hold })));
  await Promise.all([
    tx.execute(insertAllocationsSql, [
      decisions.map(({ wish }) => wish.orderId),
      decisions.map((decision): AllocationState => (decision.kind === "reserved" ? "HELD" : "REFUSED")),
      decisions.map(({ wish }) => wish.buyerId),
      decisions.map((decision) => (decision.kind === "reserved" ? decision.expiresAt : null)),
    ]),
    holds.length > 0 &&
      tx.execute(insertHoldsSql, [
        holds.map(({ holdId }) => holdId),
        holds.map(({ orderId }) => orderId),
        holds.map(({ sku }) => sku),
        holds.map(({ location }) => location),
        holds.map(({ units }) => units),
        holds.map(({ limited }) => limited),
      ]),
  ]);
}

const allocationColumns = {
  orderId: as<OrderId>(uuid),
  state: as<AllocationState>(text),
  version: integer,
  buyerId: nullable(as<BuyerId>(uuid)),
  expiresAt: nullable(instant),
} as const;

const lockAllocationsSql = sql("inventory.lock-allocations", {
  takes: [array(as<OrderId>(uuid))],
  gives: allocationColumns,
})`
  select order_id as "orderId", state, version, buyer_id as "buyerId", expires_at as "expiresAt"
  from inventory.allocation where order_id = any($1::uuid[]) order by order_id for update`;

/** Locks the allocations of these orders in the order of their ids. One that was never allocated is absent. */
export const lockAllocations = (tx: Transaction, orderIds: readonly OrderId[]): Promise<Allocation[]> =>
  tx.query(lockAllocationsSql, [orderIds]);

// What orders told before the hold's end must have been applied first: an authorisation that waits in a feed which was
// down, or behind a key that was set aside, came in time. The feed's progress lies in this schema (kit/messaging).
const lockExpiredSql = sql("inventory.lock-expired", { takes: [bigint], gives: allocationColumns })`
  select a.order_id as "orderId", a.state, a.version, a.buyer_id as "buyerId", a.expires_at as "expiresAt"
  from inventory.allocation a
  where a.state = 'HELD'
    and a.expires_at < (
      select least(clock_timestamp(), coalesce(min(watermark), '-infinity')) from inventory.reader_cursor
      where reader = 'inventory' and source = 'orders')
    and not exists (
      select from inventory.parked_key p
      where p.reader = 'inventory' and p.aggregate = 'order' and p.key = a.order_id::text)
  order by a.expires_at
  limit $1
  for update of a skip locked`;

/**
 * Locks allocations whose holds have passed their end by the database's clock, longest past first, at most `limit`;
 * leaves out those that somebody else is working on.
 */
export const lockExpired = (tx: Transaction, limit: number): Promise<Allocation[]> => tx.query(lockExpiredSql, [limit]);

const stepAllocationsSql = sql("inventory.step-allocations", {
  takes: [text, integer, array(as<OrderId>(uuid))],
  gives: {},
})`
  update inventory.allocation set state = $1, version = version + $2 where order_id = any($3::uuid[])`;

interface StoredStep {
  readonly state: AllocationState;
  /** How many events each of them tells by it. */
  readonly events: number;
  readonly orderIds: readonly OrderId[];
}

/** Moves locked allocations to another state. */
export async function stepAllocations(tx: Transaction, { state, events, orderIds }: StoredStep): Promise<void> {
  await tx.execute(stepAllocationsSql, [state, events, orderIds]);
}

const entombSql = sql("inventory.entomb", { takes: [array(as<OrderId>(uuid))], gives: {} })`
  insert into inventory.allocation (order_id, state, version)
  select order_id, 'RELEASED', 1 from unnest($1::uuid[]) as ended(order_id)`;

/** Marks orders that ended before anything was allocated, so that nothing will be. It is the first that is told of them. */
export async function entomb(tx: Transaction, orderIds: readonly OrderId[]): Promise<void> {
  await tx.execute(entombSql, [orderIds]);
}

const storeVersionsSql = sql("inventory.store-versions", {
  takes: [array(as<OrderId>(uuid)), array(integer)],
  gives: {},
})`
  update inventory.allocation a set version = told.version
  from unnest($1::uuid[], $2::int[]) as told(order_id, version) where a.order_id = told.order_id`;

/** Counts events told of locked allocations whose state stays. */
export async function storeVersions(tx: Transaction, versions: ReadonlyMap<OrderId, number>): Promise<void> {
  await tx.execute(storeVersionsSql, [[...versions.keys()], [...versions.values()]]);
}
