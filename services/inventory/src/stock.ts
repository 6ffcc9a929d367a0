/** Who gets what is on the shelf. The only place that can say SOLD_OUT. */

import type { BuyerId, HoldId, OrderId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import type { Cause } from "@onsale/messaging";
import { type Location, type LocationRule, mainLocation, type Place, pick } from "./location.ts";

/** What one SKU has left, in pieces; never below zero. */
export interface Shelf {
  readonly available: number;
  /** The most that one buyer may have of it; null where anybody may have all. */
  readonly perBuyerLimit: number | null;
  /** Where it lies, in the shop's order; null where that is main alone. */
  readonly places: readonly Place[] | null;
}

/** Shelves by SKU. A SKU that never came in has none. */
export type Shelves = ReadonlyMap<Sku, Shelf>;

/** What an order would like to have. */
export interface Wish {
  readonly orderId: OrderId;
  readonly buyerId: BuyerId;
  /** The order's ticket: lower came earlier. */
  readonly arrival: number;
  readonly units: ReadonlyMap<Sku, Units>;
  /** The order names holds that it has already. */
  readonly bringsHolds: boolean;
  readonly cause: Cause;
}

/** Units of one SKU at one location for one order. Those of several locations share the id of one hold. */
export interface Hold {
  readonly holdId: HoldId;
  readonly sku: Sku;
  readonly location: Location;
  readonly units: Units;
  /** They count in what the buyer has of a SKU with a limit. */
  readonly limited: boolean;
}

export type Refusal = "SOLD_OUT" | "UNKNOWN_SKU" | "LIMIT_PER_BUYER" | "HOLD_EXPIRED";

export interface Reserved {
  readonly kind: "reserved";
  readonly wish: Wish;
  readonly holds: readonly Hold[];
  readonly expiresAt: Instant;
}

export interface Refused {
  readonly kind: "refused";
  readonly wish: Wish;
  readonly reason: Refusal;
  /** The SKUs that stood in the way. */
  readonly skus: readonly Sku[];
}

export type Decision = Reserved | Refused;

export interface Given {
  /** Pieces that buyers have already of SKUs with a limit, by `takeKey`. */
  readonly taken: ReadonlyMap<string, number>;
  readonly expiresAt: Instant;
  readonly newHoldId: () => HoldId;
  readonly chooseLocations: LocationRule;
}

/** The most that one order can have of a SKU, as a hold's schema says: an order that repeats a line could ask for more. */
const maximumUnits = 1_000_000;

export const takeKey = (buyerId: BuyerId, sku: Sku): string => `${buyerId} ${sku}`;

export const byArrival = (one: Wish, other: Wish): number => one.arrival - other.arrival;

/** Decides wishes in the order given, first come first served: each order gets all of its units or none. */
export function decideReservations(shelves: Shelves, wishes: readonly Wish[], given: Given): Decision[] {
  const left: Left = {
    shelves,
    available: new Map([...shelves].map(([sku, { available }]) => [sku, available])),
    places: new Map([...shelves].flatMap(([sku, { places }]) => (places ? [[sku, places]] : []))),
    taken: new Map(given.taken),
  };
  return wishes.map((wish) => {
    const refusal = whyRefused(left, wish);
    if (refusal) return { kind: "refused", wish, ...refusal };
    return { kind: "reserved", wish, holds: take(left, wish, given), expiresAt: given.expiresAt };
  });
}

/** What is left while a batch is being decided. */
interface Left {
  readonly shelves: Shelves;
  readonly available: Map<Sku, number>;
  readonly places: Map<Sku, readonly Place[]>;
  readonly taken: Map<string, number>;
}

function whyRefused(left: Left, wish: Wish): Pick<Refused, "reason" | "skus"> | undefined {
  // Holds are only ever made for an order that was placed, so what an order brings with it can't be held any more.
  if (wish.bringsHolds) return { reason: "HOLD_EXPIRED", skus: [...wish.units.keys()] };
  return (
    refusalOf("UNKNOWN_SKU", wish, (sku) => !left.shelves.has(sku)) ??
    refusalOf("LIMIT_PER_BUYER", wish, (sku, units) => isOverLimit(left, wish.buyerId, sku, units)) ??
    refusalOf("SOLD_OUT", wish, (sku, units) => units > Math.min(left.available.get(sku) ?? 0, maximumUnits))
  );
}

function refusalOf(reason: Refusal, wish: Wish, standsInTheWay: (sku: Sku, units: Units) => boolean) {
  const skus = [...wish.units].filter(([sku, units]) => standsInTheWay(sku, units)).map(([sku]) => sku);
  return skus.length > 0 ? { reason, skus } : undefined;
}

function isOverLimit({ shelves, taken }: Left, buyerId: BuyerId, sku: Sku, units: Units): boolean {
  const limit = shelves.get(sku)?.perBuyerLimit ?? null;
  return limit !== null && (taken.get(takeKey(buyerId, sku)) ?? 0) + units > limit;
}

function take(left: Left, { buyerId, units }: Wish, { newHoldId, chooseLocations }: Given): Hold[] {
  const { shelves, available, taken } = left;
  return [...units].flatMap(([sku, wanted]) => {
    const limited = (shelves.get(sku)?.perBuyerLimit ?? null) !== null;
    available.set(sku, (available.get(sku) ?? 0) - wanted);
    if (limited) taken.set(takeKey(buyerId, sku), (taken.get(takeKey(buyerId, sku)) ?? 0) + wanted);
    const holdId = newHoldId();
    return takeFrom(left, { sku, units: wanted }, chooseLocations).map((place) => ({ holdId, sku, ...place, limited }));
  });
}

function takeFrom({ places }: Left, line: { readonly sku: Sku; readonly units: Units }, rule: LocationRule) {
  const there = places.get(line.sku);
  if (!there) return [{ location: mainLocation, units: line.units }];
  const picked = pick(rule, { ...line, places: there });
  const taken = new Map(picked.map(({ location, units }) => [location, units]));
  const rest = there.map(({ location, units }) => ({ location, units: units - (taken.get(location) ?? 0) }));
  places.set(
    line.sku,
    rest.filter(({ units }) => units > 0),
  );
  return picked;
}
