import type { HoldId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import { array, as, boolean, integer, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { AllocationId } from "../allocation.ts";
import type { Location } from "../location.ts";
import type { Kept } from "../returned-goods.ts";
import type { Hold } from "../stock.ts";
import { namesOf } from "./unit.ts";

const holdsOfSql = sql("inventory.holds-of", {
  takes: [array(as<AllocationId>(uuid))],
  gives: {
    allocationId: as<AllocationId>(uuid),
    holdId: as<HoldId>(uuid),
    sku: as<Sku>(text),
    location: as<Location>(text),
    units: integer,
    limited: boolean,
    named: boolean,
  },
})`
  select allocation_id as "allocationId", hold_id as "holdId", sku, location, units - returned_units as units, limited,
    named
  from inventory.hold where allocation_id = any($1::uuid[]) and units > returned_units
  order by allocation_id, hold_id, location`;

/** What was given under these allocations, less what came back, whatever became of it. The caller holds them. */
export async function holdsOf(tx: Transaction, allocationIds: readonly AllocationId[]): Promise<Kept[]> {
  const rows = await tx.query(holdsOfSql, [allocationIds]);
  const names = await namesOf(
    tx,
    rows.filter(({ named }) => named).map(({ holdId }) => holdId),
  );
  return rows.map(({ named, ...row }) => ({ ...row, names: named ? (names.get(row.holdId) ?? []) : [] }));
}

const attachHoldsSql = sql("inventory.attach-holds", {
  takes: [array(as<HoldId>(uuid)), array(as<OrderId>(uuid))],
  gives: {},
})`
  update inventory.hold h set allocation_id = attached.order_id, brought = true
  from unnest($1::uuid[], $2::uuid[]) as attached(hold_id, order_id)
  where h.allocation_id = attached.hold_id`;

/** Makes the units of buyers' holds their orders'. The caller holds the allocations of both. */
export async function attachHolds(
  tx: Transaction,
  attached: readonly { readonly holdId: HoldId; readonly orderId: OrderId }[],
): Promise<void> {
  await tx.execute(attachHoldsSql, [attached.map(({ holdId }) => holdId), attached.map(({ orderId }) => orderId)]);
}

const insertHoldsSql = sql("inventory.insert-holds", {
  takes: [
    array(as<HoldId>(uuid)),
    array(as<AllocationId>(uuid)),
    array(as<Sku>(text)),
    array(as<Location>(text)),
    array(integer),
    array(boolean),
    array(boolean),
  ],
  gives: {},
})`
  insert into inventory.hold (hold_id, allocation_id, sku, location, units, limited, named)
  select unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]), unnest($5::int[]),
    unnest($6::boolean[]), unnest($7::boolean[])`;

/** Writes what was given under allocations that are written with it. */
export async function insertHolds(
  tx: Transaction,
  holds: readonly (Hold & { readonly allocationId: AllocationId })[],
): Promise<void> {
  if (holds.length === 0) return;
  await tx.execute(insertHoldsSql, [
    holds.map(({ holdId }) => holdId),
    holds.map(({ allocationId }) => allocationId),
    holds.map(({ sku }) => sku),
    holds.map(({ location }) => location),
    holds.map(({ units }) => units),
    holds.map(({ limited }) => limited),
    holds.map(({ names }) => names.length > 0),
  ]);
}

const insertRestocksSql = sql("inventory.insert-restocks", {
  takes: [array(as<ReturnId>(uuid)), array(as<OrderId>(uuid))],
  gives: { returnId: as<ReturnId>(uuid) },
})`
  insert into inventory.restock (return_id, order_id)
  select return_id, order_id from unnest($1::uuid[], $2::uuid[]) as back(return_id, order_id)
  on conflict (return_id) do nothing
  returning return_id as "returnId"`;

/** Records returns of orders that have an allocation; returns the ids of those that were not known before. */
export async function insertRestocks(
  tx: Transaction,
  returns: readonly { readonly returnId: ReturnId; readonly orderId: OrderId }[],
): Promise<ReadonlySet<ReturnId>> {
  if (returns.length === 0) return new Set();
  const rows = await tx.query(insertRestocksSql, [
    returns.map(({ returnId }) => returnId),
    returns.map(({ orderId }) => orderId),
  ]);
  return new Set(rows.map(({ returnId }) => returnId));
}

const giveBackUnitsSql = sql("inventory.give-back-units", {
  takes: [array(as<OrderId>(uuid)), array(as<HoldId>(uuid)), array(as<Location>(text)), array(integer)],
  gives: {},
})`
  update inventory.hold h set returned_units = h.returned_units + back.units
  from (
    select order_id, hold_id, location, sum(units)::int as units
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[]) as line(order_id, hold_id, location, units)
    group by order_id, hold_id, location
  ) as back
  where h.allocation_id = back.order_id and h.hold_id = back.hold_id and h.location = back.location`;

/** Takes returned units off the holds of locked orders. */
export async function giveBackUnits(
  tx: Transaction,
  lines: readonly (Pick<Kept, "holdId" | "location" | "units"> & { readonly orderId: OrderId })[],
): Promise<void> {
  if (lines.length === 0) return;
  await tx.execute(giveBackUnitsSql, [
    lines.map(({ orderId }) => orderId),
    lines.map(({ holdId }) => holdId),
    lines.map(({ location }) => location),
    lines.map(({ units }) => units),
  ]);
}
