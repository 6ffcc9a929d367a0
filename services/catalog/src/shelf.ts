import type { Sku } from "@onsale/contracts/ids";

/** What inventory told of a SKU. */
export interface ShelfNews {
  readonly sku: Sku;
  readonly inStock: boolean;
  readonly sequence: number;
}

/** The latest news of each SKU, in the order of the SKUs, so that two batches lock rows in one order. */
export function latestNews(news: readonly ShelfNews[]): ShelfNews[] {
  const latest = new Map<Sku, ShelfNews>();
  for (const one of news) {
    const known = latest.get(one.sku);
    if (known === undefined || known.sequence < one.sequence) latest.set(one.sku, one);
  }
  return [...latest.values()].sort((a, b) => (a.sku < b.sku ? -1 : 1));
}
