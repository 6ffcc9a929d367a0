import type { Sku } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import { type FairnessReport, judgeFairness } from "./fairness.ts";
import { fairnessCounts, grantedAfter, refusedBefore } from "./store/fairness.ts";

// Each is compared with each: 25 million comparisons, a tenth of a second.
const mostCompared = 5_000;

/** What became of the orders for a SKU in the order in which they arrived. */
export async function reportFairness(tx: Transaction, sku: Sku): Promise<FairnessReport> {
  const counts = await fairnessCounts(tx, sku);
  const { firstRefusedArrival, lastGrantedArrival } = counts;
  const [granted, refused] = await Promise.all([
    firstRefusedArrival === null ? [] : grantedAfter(tx, { sku, arrival: firstRefusedArrival, limit: mostCompared }),
    lastGrantedArrival === null ? [] : refusedBefore(tx, { sku, arrival: lastGrantedArrival, limit: mostCompared }),
  ]);
  return {
    sku,
    arrivals: counts.granted + counts.refused,
    ...counts,
    ...judgeFairness(granted, refused),
    compared: granted.length + refused.length,
    complete: granted.length < mostCompared && refused.length < mostCompared,
  };
}
