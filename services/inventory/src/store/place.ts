/** What there is of a SKU by location. Whoever reads or writes it holds the SKU's row in stock. */

import type { Sku } from "@onsale/contracts/ids";
import { array, as, bigint, boolean, integer, type Queryable, sql, type Transaction, text } from "@onsale/postgres";
import type { PlaceChange } from "../ledger.ts";
import type { Location, Place } from "../location.ts";

const spreadStockSql = sql("inventory.spread-stock", { takes: [as<Sku>(text)], gives: {} })`
  with spread as (
    update inventory.stock set located = true where sku = $1
    returning sku, received, held, sold, quarantined, in_transit)
  insert into inventory.stock_at (sku, location, received, held, sold, quarantined, in_transit)
  select sku, 'main', received, held, sold, quarantined, in_transit from spread`;

/** Gives a SKU that has lain in main alone a row for it. */
export const spreadStock = async (tx: Transaction, sku: Sku): Promise<void> => {
  await tx.execute(spreadStockSql, [sku]);
};

const openPlaceSql = sql("inventory.open-place", { takes: [as<Sku>(text), as<Location>(text)], gives: {} })`
  insert into inventory.stock_at (sku, location) values ($1, $2) on conflict (sku, location) do nothing`;

export const openPlace = async (tx: Transaction, sku: Sku, location: Location): Promise<void> => {
  await tx.execute(openPlaceSql, [sku, location]);
};

const placesSql = sql("inventory.places", {
  takes: [array(as<Sku>(text))],
  gives: { sku: as<Sku>(text), location: as<Location>(text), units: bigint },
})`
  select at.sku, at.location, at.received - at.held - at.sold as units
  from inventory.stock_at at join inventory.location place on place.location = at.location
  where at.sku = any($1::text[]) and at.received - at.held - at.sold > 0
  order by at.sku, place.rank, at.location`;

/** Where these SKUs have units, in the shop's order. */
export async function placesOf(tx: Transaction, skus: readonly Sku[]): Promise<Map<Sku, Place[]>> {
  if (skus.length === 0) return new Map();
  return Map.groupBy(await tx.query(placesSql, [skus]), ({ sku }) => sku);
}

const changePlacesSql = sql("inventory.change-places", {
  takes: [
    array(as<Sku>(text)),
    array(as<Location>(text)),
    array(bigint),
    array(bigint),
    array(bigint),
    array(bigint),
    array(bigint),
  ],
  gives: {},
})`
  update inventory.stock_at at set
    received = at.received + change.received,
    held = at.held + change.held,
    sold = at.sold + change.sold,
    quarantined = at.quarantined + change.quarantined,
    in_transit = at.in_transit + change.in_transit
  from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    as change(sku, location, received, held, sold, quarantined, in_transit)
  where at.sku = change.sku and at.location = change.location`;

/** Changes the stock of SKUs at locations where they have a row. */
export async function changePlaces(tx: Transaction, changes: readonly PlaceChange[]): Promise<void> {
  const changed = await tx.execute(changePlacesSql, [
    changes.map(({ sku }) => sku),
    changes.map(({ location }) => location),
    changes.map(({ received }) => received),
    changes.map(({ held }) => held),
    changes.map(({ sold }) => sold),
    changes.map(({ quarantined }) => quarantined),
    changes.map(({ inTransit }) => inTransit),
  ]);
  if (changed !== changes.length) throw new Error("Units were moved at a location where their SKU has no shelf.");
}

const placeCounts = {
  location: as<Location>(text),
  received: bigint,
  held: bigint,
  sold: bigint,
  available: bigint,
  quarantined: bigint,
  inTransit: bigint,
} as const;

const stockByPlaceSql = sql("inventory.stock-by-place", { takes: [as<Sku>(text)], gives: placeCounts })`
  select at.location, at.received, at.held, at.sold, at.received - at.held - at.sold as available, at.quarantined,
    at.in_transit as "inTransit"
  from inventory.stock_at at join inventory.location place on place.location = at.location
  where at.sku = $1 order by place.rank, at.location`;

/** What there is of one SKU at each of its locations; nothing where it has lain in main alone. */
export const stockByPlace = (database: Queryable, sku: Sku) => database.query(stockByPlaceSql, [sku]);

const levelAtSql = sql("inventory.level-at", {
  takes: [as<Sku>(text), as<Location>(text)],
  gives: { available: bigint, quarantined: bigint },
})`
  select received - held - sold as available, quarantined
  from inventory.stock_at where sku = $1 and location = $2`;

export const levelAt = async (tx: Transaction, sku: Sku, location: Location) =>
  (await tx.query(levelAtSql, [sku, location]))[0];

const saveLocationSql = sql("inventory.save-location", { takes: [as<Location>(text), integer], gives: {} })`
  insert into inventory.location (location, rank) values ($1, $2)
  on conflict (location) do update set rank = excluded.rank`;

export const saveLocation = async (database: Queryable, location: Location, rank: number): Promise<void> => {
  await database.execute(saveLocationSql, [location, rank]);
};

const locationsSql = sql("inventory.locations", {
  takes: [],
  gives: { location: as<Location>(text), rank: integer },
})`
  select location, rank from inventory.location order by rank, location`;

/** The shop's locations in its order: as many as people have named, some hundreds at most. */
export const locationsOf = (database: Queryable) => database.query(locationsSql, []);

const isLocationSql = sql("inventory.is-location", {
  takes: [as<Location>(text)],
  gives: { isThere: boolean },
})`
  select exists (select from inventory.location where location = $1) as "isThere"`;

export const isLocation = async (database: Queryable, location: Location): Promise<boolean> =>
  (await database.query(isLocationSql, [location]))[0]?.isThere ?? false;
