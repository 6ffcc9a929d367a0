/** Whether who came first was served first, for the last units of a SKU. Pure. */

import type { Instant } from "@onsale/contracts/time";

/** An order that was granted units of the SKU, or refused them as sold out. */
export interface Served {
  /** The order's ticket: lower came earlier. */
  readonly arrival: number;
  readonly units: number;
  /** Microseconds, in the order in which the SKU's decisions were made. */
  readonly decidedAt: number;
}

export interface Unserved extends Served {
  /** How much was left when it was refused. */
  readonly available: number;
}

export interface Fairness {
  /** Granted orders that came after a refused one, were decided before it, and had what it would have fitted into. */
  readonly inversions: number;
  /** Refused orders for which there was enough. */
  readonly wronglyRefused: number;
}

/**
 * An order that is granted units after another was refused is no inversion where it was also decided after it: units had
 * come back by then, or it asked for fewer.
 */
export function judgeFairness(granted: readonly Served[], refused: readonly Unserved[]): Fairness {
  const overtakers = new Set<Served>();
  for (const one of refused) {
    const before = granted.filter((it) => it.arrival > one.arrival && it.decidedAt < one.decidedAt);
    const there = one.available + before.reduce((sum, { units }) => sum + units, 0);
    if (one.units <= there) for (const it of before) overtakers.add(it);
  }
  return {
    inversions: overtakers.size,
    wronglyRefused: refused.filter(({ units, available }) => units <= available).length,
  };
}

/** The report of one SKU. */
export interface FairnessReport extends Fairness {
  readonly sku: string;
  /** Orders that were granted units of it or refused them as sold out. */
  readonly arrivals: number;
  readonly granted: number;
  readonly refused: number;
  /** The tickets between which the last units went; null where nobody was refused, or granted any. */
  readonly firstRefusedArrival: number | null;
  readonly lastGrantedArrival: number | null;
  readonly firstRefusedAt: Instant | null;
  /** Orders that were compared: those granted after the first refusal, and those refused before the last grant. */
  readonly compared: number;
  /** Whether these were all: of a sale in which more than some thousands overtook one another, the first are compared. */
  readonly complete: boolean;
}
