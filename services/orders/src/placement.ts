/** Whether an order can be taken, and what it costs. Pure. */

import type { Sku } from "@onsale/contracts/ids";
import { type AmountMinor, type Currency, maximumAmountMinor, type PriceMinor } from "@onsale/contracts/money";
import { maximumLines } from "@onsale/contracts/orders";
import { type Allocation, type AllocationRule, allocatePoints, applyRules, payableOf } from "./allocation.ts";
import type { OrderMethod } from "./order-saga.ts";

/** Pieces of one SKU in one order, as in `Units`. */
export const maximumUnits = 1_000_000;

export interface WantedLine {
  readonly sku: Sku;
  readonly quantity: number;
  /** The prices of one unit that the buyer saw, where the basket says so. */
  readonly seenPricesMinor?: readonly PriceMinor[];
}

export interface PricedLine extends Omit<WantedLine, "seenPricesMinor"> {
  /** From 1, in the order of the request. */
  readonly position: number;
  readonly unitPriceMinor: PriceMinor;
}

export interface PlacementRefusal {
  readonly kind: "refused";
  readonly code:
    | "TOO_MANY_LINES"
    | "QUANTITY_TOO_LARGE"
    | "UNKNOWN_PRODUCT"
    | "WRONG_CURRENCY"
    | "SOLD_OUT"
    | "PRICE_CHANGED"
    | "NOTHING_TO_PAY"
    | "POINTS_DO_NOT_FIT"
    | "TOTAL_TOO_LARGE";
  readonly detail: string;
  /** The SKUs that stand in the way, where it is about some. */
  readonly skus: readonly Sku[];
  /** What these cost now, where that is what stands in the way. */
  readonly pricesMinor?: ReadonlyMap<Sku, PriceMinor>;
}

/** A line as the buyer asks for it. */
export interface RequestedLine {
  readonly sku: Sku;
  readonly quantity: number;
  readonly unitPriceMinor?: PriceMinor;
}

export type Basket = { readonly kind: "basket"; readonly lines: readonly WantedLine[] } | PlacementRefusal;

/**
 * What can be told of a request without knowing any product. Lines of one SKU become one line with the sum of their
 * quantities: they have one price, so nothing is lost, and a till that scans a thing twice means two of it.
 */
export function toBasket(lines: readonly RequestedLine[]): Basket {
  if (lines.length > maximumLines)
    return refused("TOO_MANY_LINES", `An order has at most ${maximumLines} lines; this one has ${lines.length}.`);
  const quantities = new Map<Sku, number>();
  const seen = new Map<Sku, PriceMinor[]>();
  for (const { sku, quantity, unitPriceMinor } of lines) {
    quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
    if (unitPriceMinor !== undefined) seen.set(sku, [...(seen.get(sku) ?? []), unitPriceMinor]);
  }
  const tooMany = [...quantities].filter(([, quantity]) => quantity > maximumUnits).map(([sku]) => sku);
  if (tooMany.length > 0)
    return refused("QUANTITY_TOO_LARGE", `An order has at most ${maximumUnits} pieces of a product.`, tooMany);
  const merged = [...quantities].map(([sku, quantity]) => {
    const seenPricesMinor = seen.get(sku);
    return { sku, quantity, ...(seenPricesMinor && { seenPricesMinor }) };
  });
  return { kind: "basket", lines: merged };
}

/** How the buyer wants to pay. */
export interface WantedPayment {
  readonly method: OrderMethod;
  /** The part to be paid with points, where the buyer names it. */
  readonly pointsMinor: AmountMinor | null;
}

export interface PricedOrder {
  readonly kind: "priced";
  readonly lines: readonly PricedLine[];
  /** What the buyer pays, and the part of it that is paid with points. */
  readonly totalMinor: AmountMinor;
  readonly pointsMinor: AmountMinor;
  readonly allocations: readonly Allocation[];
}

export type Pricing = PricedOrder | PlacementRefusal;

interface WantedBasket {
  readonly currency: Currency;
  readonly lines: readonly WantedLine[];
  readonly payment: WantedPayment;
}

/** Prices a basket with what is known of the products now, and says who bears the price. */
export function priceBasket(
  { currency, lines, payment }: WantedBasket,
  products: ReadonlyMap<Sku, { readonly priceMinor: PriceMinor; readonly currency: Currency }>,
  rules: readonly AllocationRule[] = [],
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
  const changed = lines.filter(({ sku, seenPricesMinor = [] }) =>
    seenPricesMinor.some((seen) => seen !== products.get(sku)?.priceMinor),
  );
  if (changed.length > 0) return priceChanged(changed, products);
  const priced = lines.map(({ sku, quantity }, index) => ({
    ...{ sku, quantity, position: index + 1, unitPriceMinor: products.get(sku)?.priceMinor ?? 0 },
  }));
  const tooLarge = refused("TOTAL_TOO_LARGE", `An order costs at most ${maximumAmountMinor} minor units.`);
  // Before the rules are asked: they are promised amounts that can be summed exactly.
  if (sumUpTo(maximumAmountMinor, priced, ({ quantity, unitPriceMinor }) => quantity * unitPriceMinor) === undefined)
    return tooLarge;
  const ruled = applyRules({ currency, lines: priced }, rules);
  const totalMinor = sumUpTo(maximumAmountMinor, priced, (line) => payableOf(line, ruled));
  if (totalMinor === undefined) return tooLarge;
  // No card provider authorises nothing.
  if (totalMinor === 0)
    return refused("NOTHING_TO_PAY", "The order costs nothing, and a card can't be charged nothing.");
  const pointsMinor = pointsOf(payment, totalMinor);
  if (typeof pointsMinor !== "number") return pointsMinor;
  const allocations = [...ruled, ...allocatePoints(pointsMinor, priced, ruled)];
  return { kind: "priced", lines: priced, totalMinor, pointsMinor, allocations };
}

function priceChanged(
  changed: readonly WantedLine[],
  products: ReadonlyMap<Sku, { readonly priceMinor: PriceMinor }>,
): PlacementRefusal {
  const pricesMinor = new Map(changed.map(({ sku }) => [sku, products.get(sku)?.priceMinor ?? 0]));
  const detail =
    "The basket was filled at other prices. Nothing was ordered; the prices of now are given with the lines.";
  return { ...refused("PRICE_CHANGED", detail, [...pricesMinor.keys()]), pricesMinor };
}

/** The sum of what each item counts; undefined as soon as it is above the maximum, beyond which it would not be exact. */
function sumUpTo<Item>(maximum: number, items: readonly Item[], of: (item: Item) => number): number | undefined {
  let sum = 0;
  for (const item of items) {
    sum += of(item);
    if (sum > maximum) return undefined;
  }
  return sum;
}

function pointsOf({ method, pointsMinor }: WantedPayment, totalMinor: AmountMinor): AmountMinor | PlacementRefusal {
  switch (method) {
    case "card":
      return pointsMinor === null ? 0 : refused("POINTS_DO_NOT_FIT", "Who pays by card names no points.");
    case "wallet":
      return pointsMinor === null ? totalMinor : refused("POINTS_DO_NOT_FIT", "A wallet pays all, whatever it is.");
    case "split":
      if (pointsMinor !== null && pointsMinor > 0 && pointsMinor < totalMinor) return pointsMinor;
      return refused(
        "POINTS_DO_NOT_FIT",
        `Of ${totalMinor} minor units a split payment takes 1 to ${totalMinor - 1} as points, and names how many.`,
      );
  }
}

const refused = (code: PlacementRefusal["code"], detail: string, skus: readonly Sku[] = []): PlacementRefusal => ({
  kind: "refused",
  code,
  detail,
  skus,
});
