/** Who gets what is on the shelf. The only place that can say SOLD_OUT. */

import type { BuyerId, HoldId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import type { Cause } from "@onsale/messaging";
import type { AllocationState } from "./allocation.ts";
import type { Part } from "./ledger.ts";
import { type LocationRule, mainLocation, type Place, pick } from "./location.ts";

/** What a unit is called that is like no other of its SKU: a seat, a number plate. */
export type UnitName = string;

/** What one SKU has left, in pieces; never below zero. */
export interface Shelf {
  readonly available: number;
  /** The most that one buyer may have of it; null where anybody may have all. */
  readonly perBuyerLimit: number | null;
  /** Where it lies, in the shop's order; null where that is main alone. */
  readonly places: readonly Place[] | null;
  /** Where its units have names: those that the wishes could get. Null where one is like another. */
  readonly units: NamedUnits | null;
}

export interface NamedUnits {
  /** In their own order: as many as are wanted without a name, and those that are wanted by theirs. */
  readonly free: readonly UnitName[];
  /** Of those that are wanted by name, the ones that there are, free or not. */
  readonly known: ReadonlySet<UnitName>;
}

/** Shelves by SKU. A SKU that never came in has none. */
export type Shelves = ReadonlyMap<Sku, Shelf>;

/** What somebody would like to have. */
export interface Wish {
  readonly buyerId: BuyerId;
  readonly units: ReadonlyMap<Sku, Units>;
  /** The units that are wanted by name, of SKUs where that is so; as many as `units` says. */
  readonly names: ReadonlyMap<Sku, readonly UnitName[]>;
  /** Holds that the buyer has already. */
  readonly brings: readonly HoldId[];
  /** When it was said. */
  readonly saidAt: Instant;
  readonly cause: Cause;
}

/** What a buyer was given before there was an order, and has not given up. */
export interface BuyerHold {
  readonly holdId: HoldId;
  readonly buyerId: BuyerId | null;
  readonly state: AllocationState;
  readonly expiresAt: Instant | null;
  readonly sku: Sku;
  readonly units: Units;
}

/** Units of one SKU at one location for one wish. Those of several locations share the id of one hold. */
export interface Hold extends Part {
  /** They count in what the buyer has of a SKU with a limit. */
  readonly limited: boolean;
}

/** The last two are said only of units that were wanted by name. */
export type Refusal =
  | "SOLD_OUT"
  | "UNKNOWN_SKU"
  | "LIMIT_PER_BUYER"
  | "HOLD_EXPIRED"
  | "HOLD_MISMATCH"
  | "UNITS_TAKEN"
  | "UNKNOWN_UNIT";

export interface Reserved<W extends Wish = Wish> {
  readonly kind: "reserved";
  readonly wish: W;
  /** What is new to the buyer, beside what the wish brought. */
  readonly holds: readonly Hold[];
  readonly brought: readonly BuyerHold[];
}

export interface Refused<W extends Wish = Wish> {
  readonly kind: "refused";
  readonly wish: W;
  readonly reason: Refusal;
  /** The SKUs that stood in the way. */
  readonly skus: readonly Sku[];
  /** The units that did, where they were wanted by name. */
  readonly units: readonly { readonly sku: Sku; readonly unit: UnitName }[];
  /** What was wanted of SKUs that are sold out, and how much of it was left. */
  readonly short: readonly { readonly sku: Sku; readonly units: Units; readonly available: number }[];
}

export type Decision<W extends Wish = Wish> = Reserved<W> | Refused<W>;

export interface Given<W extends Wish> {
  /** Pieces that buyers have already of SKUs with a limit, by `takeKey`. */
  readonly taken: ReadonlyMap<string, number>;
  /** Every hold that a wish names, and that there is. */
  readonly buyerHolds: readonly BuyerHold[];
  readonly newHoldId: (wish: W, sku: Sku) => HoldId;
  readonly chooseLocations: LocationRule;
}

/** The most that one order can have of a SKU, as a hold's schema says: an order that repeats a line could ask for more. */
const maximumUnits = 1_000_000;

export const takeKey = (buyerId: BuyerId, sku: Sku): string => `${buyerId} ${sku}`;

export const byArrival = (one: { readonly arrival: number }, other: { readonly arrival: number }): number =>
  one.arrival - other.arrival;

/** Decides wishes in the order given, first come first served: each gets all of its units or none. */
export function decideReservations<W extends Wish>(
  shelves: Shelves,
  wishes: readonly W[],
  given: Given<W>,
): Decision<W>[] {
  const left: Left = {
    shelves,
    available: new Map([...shelves].map(([sku, { available }]) => [sku, available])),
    places: new Map([...shelves].flatMap(([sku, { places }]) => (places ? [[sku, places]] : []))),
    free: new Map([...shelves].flatMap(([sku, { units }]) => (units ? [[sku, new Set(units.free)]] : []))),
    taken: new Map(given.taken),
    buyerHolds: new Map(given.buyerHolds.map((hold) => [hold.holdId, hold])),
  };
  return wishes.map((wish) => {
    const brought = broughtBy(left, wish);
    const missing = missingOf(wish, brought);
    const refusal = whyNotBrought(wish, brought) ?? whyRefused(left, wish, missing);
    if (refusal) return { kind: "refused", wish, units: [], short: shortOf(left, wish, refusal), ...refusal };
    // No other wish gets them.
    for (const { holdId } of brought) left.buyerHolds.delete(holdId);
    return { kind: "reserved", wish, brought, holds: take(left, wish, missing, given) };
  });
}

/** What is left while a batch is being decided. */
interface Left {
  readonly shelves: Shelves;
  readonly available: Map<Sku, number>;
  readonly places: Map<Sku, readonly Place[]>;
  readonly free: Map<Sku, Set<UnitName>>;
  readonly taken: Map<string, number>;
  readonly buyerHolds: Map<HoldId, BuyerHold>;
}

type Because = Pick<Refused, "reason" | "skus"> & Partial<Pick<Refused, "units">>;
type Wanted = ReadonlyMap<Sku, Units>;

const nothing: readonly BuyerHold[] = [];

const broughtBy = ({ buyerHolds }: Left, { brings }: Wish): readonly BuyerHold[] =>
  brings.length === 0 ? nothing : brings.flatMap((holdId) => buyerHolds.get(holdId) ?? []);

/** Brought holds must be the buyer's, in time, and parts of what the wish is for. */
function whyNotBrought(wish: Wish, brought: readonly BuyerHold[]): Because | undefined {
  if (wish.brings.length === 0) return undefined;
  const isGood = ({ buyerId, state, expiresAt }: BuyerHold) =>
    buyerId === wish.buyerId && state === "HELD" && expiresAt !== null && wish.saidAt <= expiresAt;
  // One that is not there and one of somebody else are told like one that is over: it is nobody's business which it was.
  if (brought.length < wish.brings.length || !brought.every(isGood))
    return { reason: "HOLD_EXPIRED", skus: [...wish.units.keys()] };
  const unfitting = [...sumBySku(brought)].filter(([sku, units]) => units > (wish.units.get(sku) ?? 0));
  return unfitting.length > 0 ? { reason: "HOLD_MISMATCH", skus: unfitting.map(([sku]) => sku) } : undefined;
}

/** What a wish is for, less what it brings. */
function missingOf({ units: wanted }: Wish, brought: readonly BuyerHold[]): Wanted {
  if (brought.length === 0) return wanted;
  const there = sumBySku(brought);
  const rest = [...wanted].map(([sku, units]) => [sku, units - (there.get(sku) ?? 0)] as const);
  return new Map(rest.filter(([, units]) => units > 0));
}

function sumBySku(holds: readonly BuyerHold[]): Map<Sku, number> {
  const sums = new Map<Sku, number>();
  for (const { sku, units } of holds) sums.set(sku, (sums.get(sku) ?? 0) + units);
  return sums;
}

function whyRefused(left: Left, wish: Wish, missing: Wanted): Because | undefined {
  return (
    refusalOf("UNKNOWN_SKU", missing, (sku) => !left.shelves.has(sku)) ??
    unitsRefused("UNKNOWN_UNIT", wish, (sku, unit) => !left.shelves.get(sku)?.units?.known.has(unit)) ??
    refusalOf("LIMIT_PER_BUYER", missing, (sku, units) => isOverLimit(left, wish.buyerId, sku, units)) ??
    // Before the count: who asked for a seat by its name wants to know about that seat.
    unitsRefused("UNITS_TAKEN", wish, (sku, unit) => !left.free.get(sku)?.has(unit)) ??
    refusalOf("SOLD_OUT", missing, (sku, units) => units > Math.min(left.available.get(sku) ?? 0, maximumUnits))
  );
}

function shortOf({ available }: Left, { units }: Wish, { reason, skus }: Because): Refused["short"] {
  if (reason !== "SOLD_OUT") return [];
  return skus.map((sku) => ({ sku, units: units.get(sku) ?? 0, available: available.get(sku) ?? 0 }));
}

function refusalOf(reason: Refusal, missing: Wanted, standsInTheWay: (sku: Sku, units: Units) => boolean) {
  const skus: Sku[] = [];
  for (const [sku, units] of missing) if (standsInTheWay(sku, units)) skus.push(sku);
  return skus.length > 0 ? { reason, skus } : undefined;
}

function unitsRefused(reason: Refusal, { names }: Wish, standsInTheWay: (sku: Sku, unit: UnitName) => boolean) {
  if (names.size === 0) return undefined;
  const units = [...names].flatMap(([sku, wanted]) =>
    wanted.filter((unit) => standsInTheWay(sku, unit)).map((unit) => ({ sku, unit })),
  );
  return units.length > 0 ? { reason, skus: [...new Set(units.map(({ sku }) => sku))], units } : undefined;
}

function isOverLimit({ shelves, taken }: Left, buyerId: BuyerId, sku: Sku, units: Units): boolean {
  const limit = shelves.get(sku)?.perBuyerLimit ?? null;
  return limit !== null && (taken.get(takeKey(buyerId, sku)) ?? 0) + units > limit;
}

function take<W extends Wish>(left: Left, wish: W, missing: Wanted, given: Given<W>): Hold[] {
  const { shelves, available, taken } = left;
  const { buyerId } = wish;
  const holds: Hold[] = [];
  for (const [sku, wanted] of missing) {
    const limited = (shelves.get(sku)?.perBuyerLimit ?? null) !== null;
    available.set(sku, (available.get(sku) ?? 0) - wanted);
    if (limited) taken.set(takeKey(buyerId, sku), (taken.get(takeKey(buyerId, sku)) ?? 0) + wanted);
    const holdId = given.newHoldId(wish, sku);
    const names = takeNamed(left, sku, wish.names.get(sku), wanted);
    for (const { location, units } of takeFrom(left, { sku, units: wanted }, given.chooseLocations))
      holds.push({ holdId, sku, location, units, names, limited });
  }
  return holds;
}

/** Takes the units that are wanted by name, or the first that are free; none where the SKU's have no names. */
function takeNamed({ free }: Left, sku: Sku, wanted: readonly UnitName[] | undefined, count: number): UnitName[] {
  const there = free.get(sku);
  if (!there) return [];
  const names = wanted ? [...wanted] : [...there].slice(0, count);
  if (names.length < count) throw new Error(`SKU ${sku} has ${count} units available, and fewer free ones by name.`);
  for (const name of names) there.delete(name);
  return names;
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
