import type { Sku } from "@onsale/contracts/ids";
import type { Currency, PriceMinor } from "@onsale/contracts/money";

/** What a merchant says about a product. */
export interface Product {
  readonly sku: Sku;
  readonly name: string;
  /** Price of one unit in the currency's minor unit. */
  readonly priceMinor: PriceMinor;
  readonly currency: Currency;
}

export type Publication =
  | { readonly kind: "new" | "changed"; readonly version: number }
  | { readonly kind: "unchanged" };

/** Whether publishing `next` tells the world anything, and as which version of the product. */
export function decidePublication(
  current: (Product & { readonly version: number }) | undefined,
  next: Product,
): Publication {
  if (current === undefined) return { kind: "new", version: 1 };
  const same =
    current.name === next.name && current.priceMinor === next.priceMinor && current.currency === next.currency;
  return same ? { kind: "unchanged" } : { kind: "changed", version: current.version + 1 };
}
