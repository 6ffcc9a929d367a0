import { shelfEmptied, shelfRefilled } from "@onsale/contracts/inventory";
import { type Cause, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type Movement, placeChanges, stockChanges, takeChanges, unitChanges } from "./ledger.ts";
import { recordMovements } from "./store/ledger.ts";
import { changePlaces } from "./store/place.ts";
import { changeStock, changeTakes, type TouchedShelf } from "./store/stock.ts";
import { changeUnits } from "./store/unit.ts";

/**
 * The only way units move: stock, its locations, ledger and what buyers have change together, and a shelf that turned empty, or is empty
 * no longer, is told. Moving more than there is fails the transaction.
 */
export async function moveUnits(tx: Transaction, movements: readonly Movement[]): Promise<void> {
  if (movements.length === 0) return;
  const named = unitChanges(movements);
  const [touched] = await Promise.all([
    changeStock(tx, stockChanges(movements)),
    // After the stock, whose row locks guard what buyers have: statements of a transaction run in the order they are sent.
    changeTakes(tx, takeChanges(movements)),
    named.length > 0 && changeUnits(tx, named),
    recordMovements(tx, movements),
  ]);
  const located = touched.filter(({ located }) => located).map(({ sku }) => sku);
  const turned = touched.filter(({ turned }) => turned);
  await Promise.all([
    located.length > 0 && changePlaces(tx, placeChanges(movements, new Set(located))),
    turned.length > 0 && publish(tx, announcements(turned, movements)),
  ]);
}

function announcements(turned: readonly TouchedShelf[], movements: readonly Movement[]) {
  // Of the moves of one SKU the last one turned its shelf.
  const causes = new Map<string, Cause>(movements.map(({ sku, cause }) => [sku, cause]));
  return turned.flatMap(({ sku, version, isEmpty }) => {
    const cause = causes.get(sku);
    return cause ? [fact(isEmpty ? shelfEmptied : shelfRefilled, { data: { sku }, sequence: version, cause })] : [];
  });
}
