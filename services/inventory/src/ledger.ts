/** Units move between available, held and sold, and every move is a line in the ledger. */

import type { BuyerId, HoldId, OrderId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { Cause } from "@onsale/messaging";
import type { Location } from "./location.ts";
import { takeKey, type UnitName } from "./stock.ts";

/** What one unit of a move changes. Available is what was received and is neither held nor sold. */
export const moves = {
  /** Came in. */
  RECEIVED: { received: 1, held: 0, sold: 0, quarantined: 0, inTransit: 0 },
  /** Set aside for an order. */
  HELD: { received: 0, held: 1, sold: 0, quarantined: 0, inTransit: 0 },
  /** The held units are the order's. */
  SOLD: { received: 0, held: -1, sold: 1, quarantined: 0, inTransit: 0 },
  /** Held units back on the shelf: their order ended without them. */
  RELEASED: { received: 0, held: -1, sold: 0, quarantined: 0, inTransit: 0 },
  /** Held units back on the shelf: their time had passed. */
  EXPIRED: { received: 0, held: -1, sold: 0, quarantined: 0, inTransit: 0 },
  /** Sold units back on the shelf: their order was cancelled. */
  UNSOLD: { received: 0, held: 0, sold: -1, quarantined: 0, inTransit: 0 },
  /** Sold units back on the shelf: the buyer sent them back. */
  RETURNED: { received: 0, held: 0, sold: -1, quarantined: 0, inTransit: 0 },
  /** Sold units into quarantine: the buyer sent them back, and they are damaged. */
  RETURNED_ASIDE: { received: -1, held: 0, sold: -1, quarantined: 1, inTransit: 0 },
  /** Sold units gone for good: the buyer sent them back, and nobody will have them. */
  WRITTEN_OFF: { received: -1, held: 0, sold: -1, quarantined: 0, inTransit: 0 },
  /** Came in damaged. */
  REFUSED: { received: 0, held: 0, sold: 0, quarantined: 1, inTransit: 0 },
  /** More on the shelf than the books said. */
  ADDED: { received: 1, held: 0, sold: 0, quarantined: 0, inTransit: 0 },
  /** Fewer on the shelf than the books said. */
  REMOVED: { received: -1, held: 0, sold: 0, quarantined: 0, inTransit: 0 },
  /** From the shelf into quarantine. */
  SET_ASIDE: { received: -1, held: 0, sold: 0, quarantined: 1, inTransit: 0 },
  /** From quarantine onto the shelf. */
  CLEARED: { received: 1, held: 0, sold: 0, quarantined: -1, inTransit: 0 },
  /** Out of quarantine, and gone. */
  DISPOSED: { received: 0, held: 0, sold: 0, quarantined: -1, inTransit: 0 },
  /** Left one location for another. */
  SENT: { received: -1, held: 0, sold: 0, quarantined: 0, inTransit: 0 },
  /** On its way to a location. */
  EXPECTED: { received: 0, held: 0, sold: 0, quarantined: 0, inTransit: 1 },
  /** Came in from another location. */
  ARRIVED: { received: 1, held: 0, sold: 0, quarantined: 0, inTransit: -1 },
  /** Was on its way, and did not come in. */
  MISSED: { received: 0, held: 0, sold: 0, quarantined: 0, inTransit: -1 },
} as const;

export type MoveKind = keyof typeof moves;

export interface Movement {
  readonly kind: MoveKind;
  readonly sku: Sku;
  readonly location: Location;
  readonly units: Units;
  /** The unit's name, where it has one; then `units` is 1. */
  readonly unit: UnitName | null;
  readonly orderId: OrderId | null;
  readonly holdId: HoldId | null;
  /** The receipt, the return, the adjustment or the transfer, where it was one of these. */
  readonly documentId: string | null;
  /** Who has the units, where they count against a limit per buyer. */
  readonly limitedBuyer: BuyerId | null;
  readonly cause: Cause;
}

/** Units of one hold, at one location. */
export interface Part {
  readonly holdId: HoldId;
  readonly sku: Sku;
  readonly location: Location;
  readonly units: Units;
  /** Of units that have names; otherwise empty. */
  readonly names: readonly UnitName[];
}

/** The moves of a hold's units: one, or where the units have names one for each. */
export function movesOf(
  { holdId, sku, location, units, names }: Part,
  rest: Pick<Movement, "kind" | "orderId" | "documentId" | "limitedBuyer" | "cause">,
): Movement[] {
  const move = (pieces: Units, unit: UnitName | null): Movement => {
    const { kind, orderId, documentId, limitedBuyer, cause } = rest;
    // Written out: a batch makes a thousand of them, and copying field by field took three times as long.
    return { kind, sku, location, units: pieces, unit, orderId, holdId, documentId, limitedBuyer, cause };
  };
  return names.length === 0 ? [move(units, null)] : names.map((unit) => move(1, unit));
}

/** What a move by a person is about: a document, and nobody's order. */
export const documented = (
  documentId: string,
  rest: Pick<Movement, "sku" | "location" | "cause">,
): Omit<Movement, "kind" | "units"> => ({
  ...rest,
  unit: null,
  orderId: null,
  holdId: null,
  limitedBuyer: null,
  documentId,
});

/** Pieces by what they are counted as. */
export interface Counts {
  readonly received: number;
  readonly held: number;
  readonly sold: number;
  readonly quarantined: number;
  readonly inTransit: number;
}

const nothing: Counts = { received: 0, held: 0, sold: 0, quarantined: 0, inTransit: 0 };

function plus(sum: Counts, { kind, units }: Pick<Movement, "kind" | "units">): Counts {
  const move = moves[kind];
  return {
    received: sum.received + move.received * units,
    held: sum.held + move.held * units,
    sold: sum.sold + move.sold * units,
    quarantined: sum.quarantined + move.quarantined * units,
    inTransit: sum.inTransit + move.inTransit * units,
  };
}

const sumOf = (byKind: ReadonlyMap<MoveKind, Units>): Counts =>
  [...byKind].reduce((sum, [kind, units]) => plus(sum, { kind, units }), nothing);

/** What a batch of moves does to one SKU's stock. */
export interface StockChange extends Counts {
  readonly sku: Sku;
}

/** Adds the moves up per SKU, in SKU order: the order in which every transaction locks stock. */
export function stockChanges(movements: readonly Movement[]): StockChange[] {
  const bySku = new Map<Sku, Map<MoveKind, Units>>();
  for (const { sku, kind, units } of movements) {
    const byKind = bySku.get(sku) ?? new Map<MoveKind, Units>();
    byKind.set(kind, (byKind.get(kind) ?? 0) + units);
    bySku.set(sku, byKind);
  }
  return [...bySku].map(([sku, byKind]) => ({ sku, ...sumOf(byKind) })).sort(inSkuOrder);
}

/** What a batch of moves does to one SKU's stock at one location. */
export interface PlaceChange extends StockChange {
  readonly location: Location;
}

/** Adds the moves of these SKUs up per SKU and location. */
export function placeChanges(movements: readonly Movement[], skus: ReadonlySet<Sku>): PlaceChange[] {
  const byPlace = Map.groupBy(
    movements.filter(({ sku }) => skus.has(sku)),
    ({ sku, location }) => JSON.stringify([sku, location]),
  );
  return [...byPlace.values()].flatMap((ofPlace) => {
    const [first] = ofPlace;
    return first ? [{ sku: first.sku, location: first.location, ...ofPlace.reduce(plus, nothing) }] : [];
  });
}

/** By UTF-16 unit. It differs from the table's order by code point only beyond the basic plane, where a deadlock would be retried. */
const inSkuOrder = (one: StockChange, other: StockChange): number => (one.sku < other.sku ? -1 : 1);

/** What becomes of a unit that has a name. */
export interface UnitChange {
  readonly sku: Sku;
  readonly unit: UnitName;
  readonly state: "FREE" | "HELD" | "SOLD" | "GONE";
  /** Whose it is now; null where it is nobody's. */
  readonly holdId: HoldId | null;
  readonly wasFree: boolean;
}

/** What the moves make of units that have names. Those that come in are free from the start. */
export function unitChanges(movements: readonly Movement[]): UnitChange[] {
  return movements.filter(hasName).flatMap(({ kind, sku, unit, holdId }): UnitChange[] => {
    const { received, held, sold } = moves[kind];
    if (held === 0 && sold === 0) return [];
    const wasFree = held + sold > 0;
    if (received < 0) return [{ sku, unit, state: "GONE", holdId: null, wasFree }];
    if (sold > 0) return [{ sku, unit, state: "SOLD", holdId, wasFree }];
    return held > 0
      ? [{ sku, unit, state: "HELD", holdId, wasFree }]
      : [{ sku, unit, state: "FREE", holdId: null, wasFree }];
  });
}

const hasName = (movement: Movement): movement is Movement & { unit: UnitName } => movement.unit !== null;

/** By how much what a buyer has of a SKU changes. */
export interface TakeChange {
  readonly buyerId: BuyerId;
  readonly sku: Sku;
  readonly units: number;
}

/** Adds up what the moves give to or take from buyers of SKUs with a limit. */
export function takeChanges(movements: readonly Movement[]): TakeChange[] {
  const byBuyer = new Map<string, { buyerId: BuyerId; sku: Sku; units: number }>();
  for (const { kind, sku, units, limitedBuyer } of movements) {
    if (limitedBuyer === null) continue;
    const key = takeKey(limitedBuyer, sku);
    const sum = byBuyer.get(key) ?? { buyerId: limitedBuyer, sku, units: 0 };
    sum.units += (moves[kind].held + moves[kind].sold) * units;
    byBuyer.set(key, sum);
  }
  return [...byBuyer.values()].filter(({ units }) => units !== 0).sort(inTakeOrder);
}

const inTakeOrder = (one: TakeChange, other: TakeChange): number =>
  takeKey(one.buyerId, one.sku) < takeKey(other.buyerId, other.sku) ? -1 : 1;
