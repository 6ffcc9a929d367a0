/** What is left of each SKU when a batch was decided. Pure. */

import type { Sku } from "@onsale/contracts/ids";
import type { Decision, Shelves } from "../stock.ts";

/** Pieces of one SKU that nobody has, as of a version: a higher one is newer. */
export interface Level {
  readonly sku: Sku;
  readonly left: number;
  readonly version: number;
}

/** Of every shelf that the batch looked at, also where it was refused everything: a refusal is news for the gate, too. */
export function levelsAfter(shelves: Shelves, decisions: readonly Decision[], version: number): Level[] {
  const left = new Map([...shelves].map(([sku, { available }]) => [sku, available]));
  for (const decision of decisions) {
    if (decision.kind === "refused") continue;
    for (const { sku, units } of decision.holds) left.set(sku, (left.get(sku) ?? 0) - units);
  }
  return [...left].map(([sku, pieces]) => ({ sku, left: pieces, version }));
}
