import type { HoldId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import { array, as, boolean, integer, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Location } from "../location.ts";
import type { Kept } from "../returned-goods.ts";

const holdsOfSql = sql("inventory.holds-of", {
  takes: [array(as<OrderId>(uuid))],
  gives: {
    orderId: as<OrderId>(uuid),
    holdId: as<HoldId>(uuid),
    sku: as<Sku>(text),
    location: as<Location>(text),
    units: integer,
    limited: boolean,
  },
})`
  select order_id as "orderId", hold_id as "holdId", sku, location, units - returned_units as units, limited
  from inventory.hold where order_id = any($1::uuid[]) and units > returned_units
  order by order_id, hold_id, location`;

/** What these orders were given, less what came back, whatever became of it. The caller holds the orders' allocations. */
export const holdsOf = (tx: Transaction, orderIds: readonly OrderId[]): Promise<Kept[]> =>
  tx.query(holdsOfSql, [orderIds]);

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
  where h.order_id = back.order_id and h.hold_id = back.hold_id and h.location = back.location`;

/** Takes returned units off the holds of locked orders. */
export async function giveBackUnits(
  tx: Transaction,
  lines: readonly Pick<Kept, "orderId" | "holdId" | "location" | "units">[],
): Promise<void> {
  if (lines.length === 0) return;
  await tx.execute(giveBackUnitsSql, [
    lines.map(({ orderId }) => orderId),
    lines.map(({ holdId }) => holdId),
    lines.map(({ location }) => location),
    lines.map(({ units }) => units),
  ]);
}
