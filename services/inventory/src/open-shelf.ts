import type { Sku } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import { type Location, mainLocation } from "./location.ts";
import { openPlace, spreadStock } from "./store/place.ts";
import { insertStock, lockStock } from "./store/stock.ts";

/**
 * Makes room for a SKU at a location that exists, and locks the SKU. One that has lain in main alone gets a row for each
 * location from now on.
 */
export async function openShelf(tx: Transaction, sku: Sku, location: Location): Promise<void> {
  await insertStock(tx, sku);
  const { located } = (await lockStock(tx, sku)) ?? { located: false };
  if (!located && location === mainLocation) return;
  if (!located) await spreadStock(tx, sku);
  await openPlace(tx, sku, location);
}
