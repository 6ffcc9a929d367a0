import type { productPublished } from "@onsale/contracts/catalog";
import type { Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { saveProducts } from "./store/product.ts";

/** Keeps what the catalog tells of prices. Both lanes may carry a product's news: the highest sequence is the latest. */
export async function copyProducts(
  tx: Transaction,
  published: readonly Delivered<typeof productPublished>[],
): Promise<void> {
  const latest = new Map<string, Delivered<typeof productPublished>>();
  for (const event of published) {
    const known = latest.get(event.key);
    if (!known || known.sequence < event.sequence) latest.set(event.key, event);
  }
  // In SKU order, as every writer of many products goes, so that two of them wait for each other instead of deadlocking.
  const products = [...latest.values()].map(({ data: { sku, priceMinor, currency }, sequence }) => ({
    sku,
    priceMinor,
    currency,
    sequence,
  }));
  await saveProducts(
    tx,
    products.sort((a, b) => (a.sku < b.sku ? -1 : 1)),
  );
}
