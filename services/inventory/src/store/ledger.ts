import type { HoldId, OrderId, Sku } from "@onsale/contracts/ids";
import { array, as, integer, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import { type MoveKind, type Movement, moves } from "../ledger.ts";
import type { Location } from "../location.ts";
import type { UnitName } from "../stock.ts";

// The deltas are given as one unit's, so that only the units travel for each line.
const recordMovementsSql = sql("inventory.record-movements", {
  takes: [
    text,
    integer,
    integer,
    integer,
    integer,
    integer,
    array(as<Sku>(text)),
    array(as<Location>(text)),
    array(integer),
    array(nullable(as<UnitName>(text))),
    array(nullable(as<OrderId>(uuid))),
    array(nullable(as<HoldId>(uuid))),
    array(nullable(uuid)),
  ],
  gives: {},
})`
  insert into inventory.movement (sku, location, kind, received_delta, held_delta, sold_delta, quarantined_delta,
    in_transit_delta, unit, order_id, hold_id, document_id)
  select sku, location, $1::text, $2::int * units, $3::int * units, $4::int * units, $5::int * units, $6::int * units,
    unit, order_id, hold_id, document_id
  from (
    select unnest($7::text[]) as sku, unnest($8::text[]) as location, unnest($9::int[]) as units,
      unnest($10::text[]) as unit, unnest($11::uuid[]) as order_id, unnest($12::uuid[]) as hold_id,
      unnest($13::uuid[]) as document_id) as line`;

/** Writes moves into the ledger. */
export async function recordMovements(tx: Transaction, movements: readonly Movement[]): Promise<void> {
  const byKind = Map.groupBy(movements, ({ kind }) => kind);
  await Promise.all([...byKind].map(([kind, ofKind]) => record(tx, kind, ofKind)));
}

async function record(tx: Transaction, kind: MoveKind, movements: readonly Movement[]): Promise<void> {
  const { received, held, sold, quarantined, inTransit } = moves[kind];
  await tx.execute(recordMovementsSql, [
    kind,
    received,
    held,
    sold,
    quarantined,
    inTransit,
    movements.map(({ sku }) => sku),
    movements.map(({ location }) => location),
    movements.map(({ units }) => units),
    movements.map(({ unit }) => unit),
    movements.map(({ orderId }) => orderId),
    movements.map(({ holdId }) => holdId),
    movements.map(({ documentId }) => documentId),
  ]);
}
