/** Units that have names. Whoever reads or writes them to decide about them holds their SKU's row in stock. */

import type { HoldId, Sku } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  boolean,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { UnitChange } from "../ledger.ts";
import type { UnitName } from "../stock.ts";

type UnitState = UnitChange["state"];

const firstFreeSql = sql("inventory.first-free-units", {
  takes: [array(as<Sku>(text)), array(integer)],
  gives: { sku: as<Sku>(text), unit: as<UnitName>(text) },
})`
  select wanted.sku, free.unit
  from unnest($1::text[], $2::int[]) as wanted(sku, units)
  cross join lateral (
    select unit, rank from inventory.unit where sku = wanted.sku and state = 'FREE' order by rank limit wanted.units) as free
  order by wanted.sku, free.rank`;

/** The first so many free units of each SKU, in their own order. */
export async function firstFree(tx: Transaction, wanted: ReadonlyMap<Sku, number>): Promise<Map<Sku, UnitName[]>> {
  if (wanted.size === 0) return new Map();
  const rows = await tx.query(firstFreeSql, [[...wanted.keys()], [...wanted.values()]]);
  return new Map([...Map.groupBy(rows, ({ sku }) => sku)].map(([sku, of]) => [sku, of.map(({ unit }) => unit)]));
}

const namedUnitsSql = sql("inventory.named-units", {
  takes: [array(as<Sku>(text)), array(as<UnitName>(text))],
  gives: { sku: as<Sku>(text), unit: as<UnitName>(text), isFree: boolean },
})`
  select unit.sku, unit.unit, unit.state = 'FREE' as "isFree"
  from unnest($1::text[], $2::text[]) as wanted(sku, unit) join inventory.unit using (sku, unit)`;

/** Those of the named units that there are, and whether they are free. */
export async function namedUnits(
  tx: Transaction,
  wanted: readonly { readonly sku: Sku; readonly unit: UnitName }[],
): Promise<{ sku: Sku; unit: UnitName; isFree: boolean }[]> {
  if (wanted.length === 0) return [];
  return await tx.query(namedUnitsSql, [wanted.map(({ sku }) => sku), wanted.map(({ unit }) => unit)]);
}

const namesOfSql = sql("inventory.names-of-holds", {
  takes: [array(as<HoldId>(uuid))],
  gives: { holdId: as<HoldId>(uuid), unit: as<UnitName>(text) },
})`
  select hold_id as "holdId", unit from inventory.unit where hold_id = any($1::uuid[]) order by hold_id, rank`;

/** The names of the units that these holds have, in their own order. */
export async function namesOf(tx: Queryable, holdIds: readonly HoldId[]): Promise<Map<HoldId, UnitName[]>> {
  if (holdIds.length === 0) return new Map();
  const rows = await tx.query(namesOfSql, [holdIds]);
  return new Map([...Map.groupBy(rows, ({ holdId }) => holdId)].map(([id, of]) => [id, of.map(({ unit }) => unit)]));
}

const changeUnitsSql = sql("inventory.change-units", {
  takes: [
    array(as<Sku>(text)),
    array(as<UnitName>(text)),
    array(text),
    array(nullable(as<HoldId>(uuid))),
    array(boolean),
  ],
  gives: {},
})`
  update inventory.unit u set state = change.state, hold_id = change.hold_id
  from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::boolean[])
    as change(sku, unit, state, hold_id, was_free)
  where u.sku = change.sku and u.unit = change.unit and (u.state = 'FREE') = change.was_free`;

/** Moves named units to another state. One that is not in the state that it is said to come from is a fault. */
export async function changeUnits(tx: Transaction, changes: readonly UnitChange[]): Promise<void> {
  const changed = await tx.execute(changeUnitsSql, [
    changes.map(({ sku }) => sku),
    changes.map(({ unit }) => unit),
    changes.map(({ state }) => state),
    changes.map(({ holdId }) => holdId),
    changes.map(({ wasFree }) => wasFree),
  ]);
  if (changed !== changes.length) throw new Error("Units that have names were moved from where they are not.");
}

const insertUnitsSql = sql("inventory.insert-units", {
  takes: [as<Sku>(text), array(as<UnitName>(text))],
  gives: { unit: as<UnitName>(text) },
})`
  insert into inventory.unit (sku, unit)
  select $1, unit from unnest($2::text[]) with ordinality as given(unit, place) order by place
  on conflict (sku, unit) do nothing
  returning unit`;

/** Adds free units in the order given; returns those that were not there before. */
export async function insertUnits(tx: Transaction, sku: Sku, names: readonly UnitName[]): Promise<UnitName[]> {
  return (await tx.query(insertUnitsSql, [sku, names])).map(({ unit }) => unit);
}

const identifySql = sql("inventory.identify", { takes: [as<Sku>(text)], gives: {} })`
  update inventory.stock set identified = true
  where sku = $1 and (identified or (received = 0 and quarantined = 0 and in_transit = 0 and not located))`;

/** Makes a SKU one whose units have names; false where it has units that have none. */
export const identify = async (tx: Transaction, sku: Sku): Promise<boolean> =>
  (await tx.execute(identifySql, [sku])) === 1;

const listUnitsSql = sql("inventory.list-units", {
  takes: [as<Sku>(text), bigint, bigint],
  gives: { unit: as<UnitName>(text), state: as<UnitState>(text), rank: bigint },
})`
  select unit, state, rank from inventory.unit where sku = $1 and rank > $2 order by rank limit $3`;

/** A page of a SKU's units behind a rank, in their own order. */
export const listUnits = (database: Queryable, sku: Sku, after: number, limit: number) =>
  database.query(listUnitsSql, [sku, after, limit]);
