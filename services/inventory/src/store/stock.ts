import type { BuyerId, Sku } from "@onsale/contracts/ids";
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
import type { StockChange, TakeChange } from "../ledger.ts";
import { type NamedUnits, type Shelf, type Shelves, takeKey, type UnitName, type Wish } from "../stock.ts";
import { placesOf, stockByPlace } from "./place.ts";
import { firstFree, namedUnits } from "./unit.ts";

const lockShelvesSql = sql("inventory.lock-shelves", {
  takes: [array(as<Sku>(text))],
  gives: {
    sku: as<Sku>(text),
    available: bigint,
    perBuyerLimit: nullable(integer),
    located: boolean,
    identified: boolean,
  },
})`
  select sku, received - held - sold as available, per_buyer_limit as "perBuyerLimit", located, identified
  from inventory.stock where sku = any($1::text[]) order by sku for update`;

/** Locks the rows of the wishes' SKUs in SKU order. A SKU that inventory does not know is absent from the result. */
export async function lockShelves(tx: Transaction, wishes: readonly Wish[]): Promise<Shelves> {
  const skus = [...new Set(wishes.flatMap(({ units }) => [...units.keys()]))];
  if (skus.length === 0) return new Map();
  const rows = await tx.query(lockShelvesSql, [skus]);
  const skusThat = (is: (row: (typeof rows)[number]) => boolean) => rows.filter(is).map(({ sku }) => sku);
  const [places, units] = await Promise.all([
    placesOf(
      tx,
      skusThat(({ located }) => located),
    ),
    unitsFor(
      tx,
      skusThat(({ identified }) => identified),
      wishes,
    ),
  ]);
  return new Map<Sku, Shelf>(
    rows.map(({ sku, available, perBuyerLimit, located }) => [
      sku,
      { available, perBuyerLimit, places: located ? (places.get(sku) ?? []) : null, units: units.get(sku) ?? null },
    ]),
  );
}

/** The units by name that the wishes could get of these SKUs: never all of a hall. */
async function unitsFor(tx: Transaction, skus: readonly Sku[], wishes: readonly Wish[]) {
  if (skus.length === 0) return new Map<Sku, NamedUnits>();
  const identified = new Set(skus);
  const counts = new Map(skus.map((sku) => [sku, 0]));
  for (const { units } of wishes)
    for (const [sku, count] of units) if (identified.has(sku)) counts.set(sku, (counts.get(sku) ?? 0) + count);
  const byName = wishes.flatMap(({ names }) =>
    [...names].filter(([sku]) => identified.has(sku)).flatMap(([sku, units]) => units.map((unit) => ({ sku, unit }))),
  );
  const [first, named] = await Promise.all([firstFree(tx, counts), namedUnits(tx, byName)]);
  return new Map(
    skus.map((sku) => [sku, toNamedUnits(first.get(sku) ?? [], Map.groupBy(named, (it) => it.sku).get(sku))]),
  );
}

function toNamedUnits(
  first: readonly UnitName[],
  named: readonly { readonly unit: UnitName; readonly isFree: boolean }[] = [],
): NamedUnits {
  const free = new Set([...first, ...named.filter(({ isFree }) => isFree).map(({ unit }) => unit)]);
  return { free: [...free], known: new Set(named.map(({ unit }) => unit)) };
}

const takenSql = sql("inventory.taken-by-buyers", {
  takes: [array(as<BuyerId>(uuid)), array(as<Sku>(text))],
  gives: { buyerId: as<BuyerId>(uuid), sku: as<Sku>(text), units: bigint },
})`
  select take.buyer_id as "buyerId", take.sku, take.units
  from unnest($1::uuid[], $2::text[]) as wanted(buyer_id, sku)
  join inventory.buyer_take take on take.buyer_id = wanted.buyer_id and take.sku = wanted.sku`;

/**
 * What the wishes' buyers have already of SKUs with a limit, by `takeKey`. The caller has locked the SKUs' rows, which
 * everybody holds who changes what buyers have.
 */
export async function takenByBuyers(
  tx: Transaction,
  shelves: Shelves,
  wishes: readonly Wish[],
): Promise<ReadonlyMap<string, number>> {
  const isLimited = (sku: Sku) => (shelves.get(sku)?.perBuyerLimit ?? null) !== null;
  const limited = wishes.flatMap(({ buyerId, units }) =>
    [...units.keys()].filter(isLimited).map((sku) => ({ buyerId, sku })),
  );
  if (limited.length === 0) return new Map();
  const rows = await tx.query(takenSql, [limited.map(({ buyerId }) => buyerId), limited.map(({ sku }) => sku)]);
  return new Map(rows.map(({ buyerId, sku, units }) => [takeKey(buyerId, sku), units]));
}

// The version counts a step where the shelf turns empty, or is empty no longer, because these are told. The nested loop
// over the changes takes the row locks in their order.
const changeStockSql = sql("inventory.change-stock", {
  takes: [array(as<Sku>(text)), array(bigint), array(bigint), array(bigint), array(bigint), array(bigint)],
  gives: { sku: as<Sku>(text), version: integer, isEmpty: boolean, turned: boolean, located: boolean },
})`
  with changed as (
    update inventory.stock s set
      received = s.received + change.received,
      held = s.held + change.held,
      sold = s.sold + change.sold,
      quarantined = s.quarantined + change.quarantined,
      in_transit = s.in_transit + change.in_transit,
      version = s.version + case
        when (s.received - s.held - s.sold = 0)
          <> (s.received + change.received - s.held - change.held - s.sold - change.sold = 0) then 1 else 0 end
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
      as change(sku, received, held, sold, quarantined, in_transit)
    where s.sku = change.sku
    returning s.sku, s.version, s.located, s.received - s.held - s.sold as available,
      change.received - change.held - change.sold as gained),
  judged as (
    select sku, version, available = 0 as "isEmpty", (available = 0) <> (available - gained = 0) as turned, located
    from changed)
  select sku, version, "isEmpty", turned, located from judged where turned or located`;

/** A SKU of which there is more to do: its shelf turned empty or is empty no longer, or it lies in several locations. */
export interface TouchedShelf {
  readonly sku: Sku;
  readonly version: number;
  readonly isEmpty: boolean;
  readonly turned: boolean;
  readonly located: boolean;
}

/** Changes the stock of SKUs that exist, locked in the order given; returns those of which there is more to do. */
export async function changeStock(tx: Transaction, changes: readonly StockChange[]): Promise<TouchedShelf[]> {
  if (changes.length === 0) return [];
  return tx.query(changeStockSql, [
    changes.map(({ sku }) => sku),
    changes.map(({ received }) => received),
    changes.map(({ held }) => held),
    changes.map(({ sold }) => sold),
    changes.map(({ quarantined }) => quarantined),
    changes.map(({ inTransit }) => inTransit),
  ]);
}

const takeColumns = {
  takes: [array(as<BuyerId>(uuid)), array(as<Sku>(text)), array(bigint)],
  gives: {},
} as const;

const addTakesSql = sql("inventory.add-takes", takeColumns)`
  insert into inventory.buyer_take as take (buyer_id, sku, units)
  select buyer_id, sku, units from unnest($1::uuid[], $2::text[], $3::bigint[]) as change(buyer_id, sku, units)
  on conflict (sku, buyer_id) do update set units = take.units + excluded.units`;

const giveBackTakesSql = sql("inventory.give-back-takes", takeColumns)`
  update inventory.buyer_take take set units = take.units - change.units
  from unnest($1::uuid[], $2::text[], $3::bigint[]) as change(buyer_id, sku, units)
  where take.buyer_id = change.buyer_id and take.sku = change.sku`;

/** Changes what buyers have of SKUs with a limit. The caller holds the SKUs' rows. */
export async function changeTakes(tx: Transaction, changes: readonly TakeChange[]): Promise<void> {
  const added = changes.filter(({ units }) => units > 0);
  const givenBack = changes.filter(({ units }) => units < 0);
  await Promise.all([
    added.length > 0 && tx.execute(addTakesSql, takeParameters(added)),
    givenBack.length > 0 && tx.execute(giveBackTakesSql, takeParameters(givenBack)),
  ]);
}

const takeParameters = (changes: readonly TakeChange[]) =>
  [
    changes.map(({ buyerId }) => buyerId),
    changes.map(({ sku }) => sku),
    changes.map(({ units }) => Math.abs(units)),
  ] as const;

const insertStockSql = sql("inventory.insert-stock", { takes: [as<Sku>(text)], gives: {} })`
  insert into inventory.stock (sku) values ($1) on conflict (sku) do nothing`;

/** Makes an empty shelf for a SKU that has none. */
export const insertStock = async (tx: Transaction, sku: Sku): Promise<void> => {
  await tx.execute(insertStockSql, [sku]);
};

const lockStockSql = sql("inventory.lock-stock", {
  takes: [as<Sku>(text)],
  gives: {
    available: bigint,
    quarantined: bigint,
    perBuyerLimit: nullable(integer),
    located: boolean,
    identified: boolean,
  },
})`
  select received - held - sold as available, quarantined, per_buyer_limit as "perBuyerLimit", located,
    identified
  from inventory.stock where sku = $1 for update`;

/** Locks a SKU and gives what there is of it; undefined where it never came in. */
export const lockStock = async (tx: Transaction, sku: Sku) => (await tx.query(lockStockSql, [sku]))[0];

const takenUnderLimitSql = sql("inventory.taken-under-limit", {
  takes: [as<Sku>(text)],
  gives: { isTaken: boolean },
})`
  select exists (select from inventory.buyer_take where sku = $1 and units > 0) as "isTaken"`;

/** Whether anybody has units that count against the SKU's limit. The caller holds the SKU's row. */
export const isTakenUnderLimit = async (tx: Transaction, sku: Sku): Promise<boolean> =>
  (await tx.query(takenUnderLimitSql, [sku]))[0]?.isTaken ?? false;

const limitBuyersSql = sql("inventory.limit-buyers", { takes: [as<Sku>(text), nullable(integer)], gives: {} })`
  update inventory.stock set per_buyer_limit = $2 where sku = $1`;

/** Sets or lifts the limit per buyer. */
export const storeLimit = async (tx: Transaction, sku: Sku, perBuyerLimit: number | null): Promise<void> => {
  await tx.execute(limitBuyersSql, [sku, perBuyerLimit]);
};

const stockOfSql = sql("inventory.stock-of", {
  takes: [as<Sku>(text)],
  gives: {
    sku: as<Sku>(text),
    received: bigint,
    held: bigint,
    sold: bigint,
    available: bigint,
    quarantined: bigint,
    inTransit: bigint,
    identified: boolean,
    perBuyerLimit: nullable(integer),
  },
})`
  select sku, received, held, sold, received - held - sold as available, quarantined, in_transit as "inTransit", identified,
    per_buyer_limit as "perBuyerLimit"
  from inventory.stock where sku = $1`;

/** What there is of one SKU, and where it lies if not in main alone; undefined where it never came in. */
export async function stockOf(database: Queryable, sku: Sku) {
  const [[stock], locations] = await Promise.all([database.query(stockOfSql, [sku]), stockByPlace(database, sku)]);
  return stock && { ...stock, locations };
}
