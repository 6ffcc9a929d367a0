/** Who bears the price of an order's lines, to the minor unit: discounts, taxes, points, and the card for the rest. Pure. */

import type { Sku } from "@onsale/contracts/ids";
import { type AmountMinor, apportion, type Currency, type PriceMinor, shareOfUnits } from "@onsale/contracts/money";

/**
 * One part of a line's price. `borneBy` says who pays it: whoever gives a discount, `buyer`, or anybody else by a name of
 * the shop's own. A tax that the buyer bears is added to the price; one that somebody else bears is only recorded.
 */
export interface Allocation {
  readonly sku: Sku;
  readonly kind: "DISCOUNT" | "TAX" | "POINTS";
  readonly borneBy: string;
  readonly amountMinor: AmountMinor;
}

export const buyer = "buyer";

/** A basket with the prices of its lines, before anything is taken off or added. */
export interface PricedBasket {
  readonly currency: Currency;
  readonly lines: readonly { readonly sku: Sku; readonly quantity: number; readonly unitPriceMinor: PriceMinor }[];
}

/**
 * A team's own rule about prices: which discounts and taxes a basket has. It is asked for each order while others wait in
 * the same batch, so it only computes. What it knows from elsewhere it has been told before.
 */
export type AllocationRule = (basket: PricedBasket) => readonly (Allocation & { readonly kind: "DISCOUNT" | "TAX" })[];

/**
 * What the rules say of a basket, equal ones as one.
 *
 * @throws {RangeError} for a rule that says what can't be: nothing of the order is taken on.
 */
export function applyRules(basket: PricedBasket, rules: readonly AllocationRule[]): Allocation[] {
  const sums = new Map<string, Allocation>();
  for (const allocation of rules.flatMap((rule) => rule(basket))) {
    const { sku, kind, borneBy, amountMinor } = allocation;
    const isOfBasket = basket.lines.some((line) => line.sku === sku);
    if (!isOfBasket || !Number.isSafeInteger(amountMinor) || amountMinor < 0 || borneBy === "")
      throw new RangeError(`A rule gave ${JSON.stringify(allocation)}, which is no part of this basket.`);
    if (amountMinor === 0) continue;
    const name = JSON.stringify([sku, kind, borneBy]);
    sums.set(name, { ...allocation, amountMinor: amountMinor + (sums.get(name)?.amountMinor ?? 0) });
  }
  const allocations = [...sums.values()];
  const overdone = basket.lines.find((line) => payableOf(line, allocations) < 0);
  if (overdone) throw new RangeError(`The rules take more off ${overdone.sku} than it costs.`);
  return allocations;
}

interface CostlyLine {
  readonly sku: Sku;
  readonly quantity: number;
  readonly unitPriceMinor: PriceMinor;
}

/** What the buyer pays for a line, whatever with. */
export function payableOf({ sku, quantity, unitPriceMinor }: CostlyLine, allocations: readonly Allocation[]): number {
  return allocations.filter((it) => it.sku === sku).reduce((sum, it) => sum + effectOf(it), quantity * unitPriceMinor);
}

function effectOf({ kind, borneBy, amountMinor }: Allocation): number {
  if (kind === "DISCOUNT") return -amountMinor;
  return kind === "TAX" && borneBy === buyer ? amountMinor : 0;
}

/** Spreads points over lines in proportion to what the buyer pays for each. The order of the lines is of no matter. */
export function allocatePoints(
  pointsMinor: AmountMinor,
  lines: readonly CostlyLine[],
  allocations: readonly Allocation[],
): Allocation[] {
  if (pointsMinor === 0) return [];
  const sorted = lines.toSorted((a, b) => (a.sku < b.sku ? -1 : 1));
  const shares = apportion(
    pointsMinor,
    sorted.map((line) => payableOf(line, allocations)),
  );
  return sorted.flatMap(({ sku }, index): Allocation[] => {
    const amountMinor = shares[index] ?? 0;
    return amountMinor === 0 ? [] : [{ sku, kind: "POINTS", borneBy: buyer, amountMinor }];
  });
}

/** What the buyer paid for a line, by instrument. */
export function paidFor(
  line: CostlyLine,
  allocations: readonly Allocation[],
): { cardMinor: number; pointsMinor: number } {
  const pointsMinor = allocations
    .filter(({ sku, kind }) => sku === line.sku && kind === "POINTS")
    .reduce((sum, it) => sum + it.amountMinor, 0);
  return { cardMinor: payableOf(line, allocations) - pointsMinor, pointsMinor };
}

/** What is given back, by instrument. */
export interface Refund {
  readonly refundMinor: AmountMinor;
  readonly pointsMinor: AmountMinor;
}

/**
 * What `quantity` more units of a line give back, of which `returnedQuantity` came back before. Each instrument gives its
 * share of all units that are back by then, less what it gave before: a cent that doesn't divide comes with a later unit,
 * never twice, and with the last unit everything is back.
 */
export function refundOf(
  line: CostlyLine & { readonly returnedQuantity: number },
  quantity: number,
  allocations: readonly Allocation[],
): Refund {
  const { cardMinor, pointsMinor } = paidFor(line, allocations);
  const more = (amountMinor: number): number =>
    shareOfUnits(amountMinor, line.returnedQuantity + quantity, line.quantity) -
    shareOfUnits(amountMinor, line.returnedQuantity, line.quantity);
  return { refundMinor: more(cardMinor), pointsMinor: more(pointsMinor) };
}
