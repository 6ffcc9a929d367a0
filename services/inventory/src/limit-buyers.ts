import type { Sku } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import { isTakenUnderLimit, lockStock, storeLimit } from "./store/stock.ts";

export type Limited = "limited" | "unknown-sku" | "lowered";

/**
 * Sets or lifts what one buyer may take of a SKU. Once anybody holds or was sold a unit under a limit the sale has begun,
 * and the limit is never lowered: what the first were promised, the last may have, too.
 */
export async function limitBuyers(tx: Transaction, sku: Sku, perBuyerLimit: number | null): Promise<Limited> {
  const stock = await lockStock(tx, sku);
  if (!stock) return "unknown-sku";
  if (isLower(perBuyerLimit, stock.perBuyerLimit) && (await isTakenUnderLimit(tx, sku))) return "lowered";
  await storeLimit(tx, sku, perBuyerLimit);
  return "limited";
}

/** Null is no limit, above every other. */
const isLower = (wanted: number | null, present: number | null): boolean =>
  (wanted ?? Number.POSITIVE_INFINITY) < (present ?? Number.POSITIVE_INFINITY);
