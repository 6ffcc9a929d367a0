import type { Sku } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import { type Location, mainLocation } from "./location.ts";
import { openPlace, spreadStock } from "./store/place.ts";
import { insertStock, lockStock } from "./store/stock.ts";

/**
 * Makes room for a SKU at a location that exists, and locks the SKU. One that has lain in main alone gets a row for each
 * location from now on; one whose units have names lies in main alone.
 */
export async function openShelf(
  tx: Transaction,
  sku: Sku,
  location: Location,
): Promise<{ readonly identified: boolean }> {
  await insertStock(tx, sku);
  const { located, identified } = (await lockStock(tx, sku)) ?? { located: false, identified: false };
  if (identified || (!located && location === mainLocation)) return { identified };
  if (!located) await spreadStock(tx, sku);
  await openPlace(tx, sku, location);
  return { identified };
}
