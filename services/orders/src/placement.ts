/** Whether an order can be taken, and what it costs. Pure. */

import type { Sku } from "@onsale/contracts/ids";
import { type AmountMinor, type Currency, maximumAmountMinor, type PriceMinor } from "@onsale/contracts/money";
import { maximumLines } from "@onsale/contracts/orders";

/** Pieces of one SKU in one order, as in `Units`. */
export const maximumUnits = 1_000_000;

export interface WantedLine {
  readonly sku: Sku;
  readonly quantity: number;
}

export interface PricedLine extends WantedLine {
  /** From 1, in the order of the request. */
  readonly position: number;
  readonly unitPriceMinor: PriceMinor;
}

export interface PlacementRefusal {
  readonly kind: "refused";
  readonly code:
    | "TOO_MANY_LINES"
    | "QUANTITY_TOO_LARGE"
    | "HOLDS_NOT_FOUND"
    | "UNKNOWN_PRODUCT"
    | "WRONG_CURRENCY"
    | "NOTHING_TO_PAY"
    | "TOTAL_TOO_LARGE";
  readonly detail: string;
  /** The SKUs that stand in the way, where it is about some. */
  readonly skus: readonly Sku[];
}

export type Basket = { readonly kind: "basket"; readonly lines: readonly WantedLine[] } | PlacementRefusal;

/**
 * What can be told of a request without knowing any product. Lines of one SKU become one line with the sum of their
 * quantities: they have one price, so nothing is lost, and a till that scans a thing twice means two of it.
 */
export function toBasket({
  lines,
  holdIds,
}: {
  readonly lines: readonly WantedLine[];
  readonly holdIds: readonly string[];
}): Basket {
  if (lines.length > maximumLines)
    return refused("TOO_MANY_LINES", `An order has at most ${maximumLines} lines; this one has ${lines.length}.`);
  // Inventory attaches no holds yet, so there is none that an order could bring.
  if (holdIds.length > 0) return refused("HOLDS_NOT_FOUND", "The order names holds that are not there.");
  const quantities = new Map<Sku, number>();
  for (const { sku, quantity } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  const tooMany = [...quantities].filter(([, quantity]) => quantity > maximumUnits).map(([sku]) => sku);
  if (tooMany.length > 0)
    return refused("QUANTITY_TOO_LARGE", `An order has at most ${maximumUnits} pieces of a product.`, tooMany);
  return { kind: "basket", lines: [...quantities].map(([sku, quantity]) => ({ sku, quantity })) };
}

export type Pricing =
  | { readonly kind: "priced"; readonly lines: readonly PricedLine[]; readonly totalMinor: AmountMinor }
  | PlacementRefusal;

/** Prices a basket with what is known of the products now. */
export function priceBasket(
  { currency, lines }: { readonly currency: Currency; readonly lines: readonly WantedLine[] },
  products: ReadonlyMap<Sku, { readonly priceMinor: PriceMinor; readonly currency: Currency }>,
): Pricing {
  const unknown = lines.filter(({ sku }) => !products.has(sku)).map(({ sku }) => sku);
  if (unknown.length > 0)
    return refused("UNKNOWN_PRODUCT", "The order names products that are not sold here.", unknown);
  const elsewhere = lines.filter(({ sku }) => products.get(sku)?.currency !== currency).map(({ sku }) => sku);
  if (elsewhere.length > 0)
    return refused(
      "WRONG_CURRENCY",
      `The order is in ${currency}; these products are sold in another currency.`,
      elsewhere,
    );
  const priced = lines.map((line, index) => ({
    ...line,
    position: index + 1,
    unitPriceMinor: products.get(line.sku)?.priceMinor ?? 0,
  }));
  // Exact: at most 1,000 lines of 10^6 pieces at 10^9 would be beyond 2^53, so the sum stops at the maximum.
  let totalMinor = 0;
  for (const { quantity, unitPriceMinor } of priced) {
    totalMinor += quantity * unitPriceMinor;
    if (totalMinor > maximumAmountMinor)
      return refused("TOTAL_TOO_LARGE", `An order costs at most ${maximumAmountMinor} minor units.`);
  }
  // No card provider authorises nothing.
  if (totalMinor === 0)
    return refused("NOTHING_TO_PAY", "The order costs nothing, and a card can't be charged nothing.");
  return { kind: "priced", lines: priced, totalMinor };
}

const refused = (code: PlacementRefusal["code"], detail: string, skus: readonly Sku[] = []): PlacementRefusal => ({
  kind: "refused",
  code,
  detail,
  skus,
});
