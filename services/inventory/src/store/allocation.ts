import type { BuyerId, HoldId, OrderId } from "@onsale/contracts/ids";
import type { Instant } from "@onsale/contracts/time";
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
import type { Allocation, AllocationId, AllocationState } from "../allocation.ts";

const allocatedSql = sql("inventory.allocated", {
  takes: [array(as<OrderId>(uuid))],
  gives: { orderId: as<OrderId>(uuid) },
})`
  select allocation_id as "orderId" from inventory.allocation where allocation_id = any($1::uuid[])`;

/** Those of the orders that have an allocation, or a mark that they shall get none. */
export async function allocated(tx: Transaction, orderIds: readonly OrderId[]): Promise<ReadonlySet<OrderId>> {
  const rows = await tx.query(allocatedSql, [orderIds]);
  return new Set(rows.map(({ orderId }) => orderId));
}

const insertAllocationsSql = sql("inventory.insert-allocations", {
  takes: [
    text,
    integer,
    array(as<AllocationId>(uuid)),
    array(text),
    array(as<BuyerId>(uuid)),
    array(nullable(instant)),
    array(nullable(bigint)),
  ],
  gives: {},
})`
  insert into inventory.allocation (kind, version, allocation_id, state, buyer_id, expires_at, arrival)
  select $1, $2, unnest($3::uuid[]), unnest($4::text[]), unnest($5::uuid[]), unnest($6::timestamptz[]),
    unnest($7::bigint[])`;

export interface NewAllocation {
  readonly allocationId: AllocationId;
  readonly state: AllocationState;
  readonly buyerId: BuyerId;
  readonly expiresAt: Instant | null;
  /** The order's ticket; null where there is no order. */
  readonly arrival: number | null;
}

/** Writes what became of orders, or of buyers' wishes for holds, that had no allocation; `version` events are told of each. */
export async function insertAllocations(
  tx: Transaction,
  { kind, version }: Pick<Allocation, "kind" | "version">,
  rows: readonly NewAllocation[],
): Promise<void> {
  if (rows.length === 0) return;
  await tx.execute(insertAllocationsSql, [
    kind,
    version,
    rows.map(({ allocationId }) => allocationId),
    rows.map(({ state }) => state),
    rows.map(({ buyerId }) => buyerId),
    rows.map(({ expiresAt }) => expiresAt),
    rows.map(({ arrival }) => arrival),
  ]);
}

const allocationColumns = {
  allocationId: as<AllocationId>(uuid),
  kind: as<Allocation["kind"]>(text),
  state: as<AllocationState>(text),
  version: integer,
  buyerId: nullable(as<BuyerId>(uuid)),
  expiresAt: nullable(instant),
} as const;

const lockAllocationsSql = sql("inventory.lock-allocations", {
  takes: [array(as<AllocationId>(uuid))],
  gives: allocationColumns,
})`
  select allocation_id as "allocationId", kind, state, version, buyer_id as "buyerId", expires_at as "expiresAt"
  from inventory.allocation where allocation_id = any($1::uuid[]) order by allocation_id for update`;

/** Locks allocations in the order of their ids. An order that was never allocated, a hold that never was, is absent. */
export const lockAllocations = (tx: Transaction, ids: readonly AllocationId[]): Promise<Allocation[]> =>
  tx.query(lockAllocationsSql, [ids]);

const buyerHoldSql = sql("inventory.buyer-hold", { takes: [as<HoldId>(uuid)], gives: allocationColumns })`
  select allocation_id as "allocationId", kind, state, version, buyer_id as "buyerId", expires_at as "expiresAt"
  from inventory.allocation where allocation_id = $1 and kind = 'HOLD'`;

/** What became of a hold that a buyer took before there was an order. */
export const buyerHold = async (database: Queryable, holdId: HoldId): Promise<Allocation | undefined> =>
  (await database.query(buyerHoldSql, [holdId]))[0];

// What was told before the hold's end must have been applied first: an authorisation that waits in a feed which was down, or
// behind a key that was set aside, came in time. The feed's progress lies in this schema (kit/messaging).
const lockExpiredSql = sql("inventory.lock-expired", { takes: [array(text), bigint], gives: allocationColumns })`
  select a.allocation_id as "allocationId", a.kind, a.state, a.version, a.buyer_id as "buyerId", a.expires_at as "expiresAt"
  from inventory.allocation a
  where a.state = 'HELD'
    and a.expires_at < (
      select least(clock_timestamp(), min(coalesce(heard.watermark, '-infinity')))
      from unnest($1::text[]) as told(source)
      left join inventory.reader_cursor heard on heard.reader = 'inventory' and heard.source = told.source)
    and not exists (
      select from inventory.parked_key p
      where p.reader = 'inventory' and p.aggregate in ('order', 'payment', 'points') and p.key = a.allocation_id::text)
  order by a.expires_at
  limit $2
  for update of a skip locked`;

/**
 * Locks allocations whose holds have passed their end by the database's clock and by what was heard of these services, longest
 * past first, at most `limit`; leaves out those that somebody else is working on.
 */
export const lockExpired = (
  tx: Transaction,
  { heardOf, limit }: { readonly heardOf: readonly string[]; readonly limit: number },
): Promise<Allocation[]> => tx.query(lockExpiredSql, [heardOf, limit]);

const stepAllocationsSql = sql("inventory.step-allocations", {
  takes: [text, integer, array(as<AllocationId>(uuid))],
  gives: {},
})`
  update inventory.allocation set state = $1, version = version + $2 where allocation_id = any($3::uuid[])`;

interface StoredStep {
  readonly state: AllocationState;
  /** How many events each of them tells by it. */
  readonly events: number;
  readonly allocationIds: readonly AllocationId[];
}

/** Moves locked allocations to another state. */
export async function stepAllocations(tx: Transaction, { state, events, allocationIds }: StoredStep): Promise<void> {
  await tx.execute(stepAllocationsSql, [state, events, allocationIds]);
}

const entombSql = sql("inventory.entomb", { takes: [array(as<OrderId>(uuid))], gives: {} })`
  insert into inventory.allocation (allocation_id, kind, state, version)
  select order_id, 'ORDER', 'RELEASED', 1 from unnest($1::uuid[]) as ended(order_id)`;

/** Marks orders that ended before anything was allocated, so that nothing will be. It is the first that is told of them. */
export async function entomb(tx: Transaction, orderIds: readonly OrderId[]): Promise<void> {
  await tx.execute(entombSql, [orderIds]);
}

const storeVersionsSql = sql("inventory.store-versions", {
  takes: [array(as<OrderId>(uuid)), array(integer)],
  gives: {},
})`
  update inventory.allocation a set version = told.version
  from unnest($1::uuid[], $2::int[]) as told(order_id, version) where a.allocation_id = told.order_id`;

/** Counts events told of locked allocations whose state stays. */
export async function storeVersions(tx: Transaction, versions: ReadonlyMap<OrderId, number>): Promise<void> {
  await tx.execute(storeVersionsSql, [[...versions.keys()], [...versions.values()]]);
}
