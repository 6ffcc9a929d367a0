import type { Sku } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import type { Level } from "./adjustment.ts";
import { type Location, mainLocation } from "./location.ts";
import { levelAt } from "./store/place.ts";
import { lockStock } from "./store/stock.ts";

/** Locks a SKU and gives what there is of it at one location; undefined where it never lay there. */
export async function lockLevelAt(
  tx: Transaction,
  sku: Sku,
  location: Location,
): Promise<(Level & { readonly identified: boolean }) | undefined> {
  const stock = await lockStock(tx, sku);
  if (!stock) return undefined;
  if (stock.located) {
    const level = await levelAt(tx, sku, location);
    return level && { ...level, identified: stock.identified };
  }
  return location === mainLocation ? stock : undefined;
}
