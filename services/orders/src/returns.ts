/** What of a confirmed order may come back, and what is given back for it. Pure. */

import type { Sku } from "@onsale/contracts/ids";
import type { ReturnDamage } from "@onsale/contracts/orders";
import type { Static } from "typebox";
import { type Allocation, type Refund, refundOf } from "./allocation.ts";
import type { Order } from "./order.ts";

/** Goods that come back, or that never left because the buyer thought better of them. */
export type ReturnKind = "RETURN" | "CANCELLATION";

/** A line of the order, with what of it came back before. Quantities in pieces. */
export interface HeldLine {
  readonly sku: Sku;
  readonly quantity: number;
  readonly returnedQuantity: number;
  readonly unitPriceMinor: number;
}

export interface ReturnedLine {
  readonly sku: Sku;
  readonly quantity: number;
  /** Absent: as good as new. */
  readonly damage?: Static<typeof ReturnDamage>;
}

/** An order's lines, and who bears their prices. */
export interface Bought {
  readonly held: readonly HeldLine[];
  readonly allocations: readonly Allocation[];
}

export type ReturnDecision =
  | ({ readonly kind: "accepted"; readonly lines: readonly ReturnedLine[] } & Refund)
  /** Somebody looks at it first. */
  | { readonly kind: "requested"; readonly lines: readonly ReturnedLine[] }
  /** Only what was paid for and is not being cancelled can come back. */
  | { readonly kind: "not-returnable" }
  /** These SKUs are not in the order, or fewer of them are left than would come back. */
  | { readonly kind: "more-than-held"; readonly skus: readonly Sku[] };

/**
 * Refunds what was paid for each unit, with what it was paid. Lines of one SKU are taken together. What other returns have
 * asked for and nobody has looked at yet (`requested`) can't be asked for again.
 */
export function decideReturn(
  order: Pick<Order, "progress">,
  {
    inspect,
    requested,
    ...bought
  }: Bought & { readonly requested: ReadonlyMap<Sku, number>; readonly inspect: boolean },
  wanted: readonly ReturnedLine[],
): ReturnDecision {
  if (order.progress.phase !== "completed") return { kind: "not-returnable" };
  const quantities = quantitiesOf(wanted);
  const lineOf = new Map(bought.held.map((line) => [line.sku, line]));
  const left = (sku: Sku): number => {
    const { quantity, returnedQuantity } = lineOf.get(sku) ?? { quantity: 0, returnedQuantity: 0 };
    return quantity - returnedQuantity - (requested.get(sku) ?? 0);
  };
  const tooMany = [...quantities].filter(([sku, quantity]) => quantity > left(sku)).map(([sku]) => sku);
  if (tooMany.length > 0) return { kind: "more-than-held", skus: tooMany };
  const lines = [...quantities].map(([sku, quantity]) => ({ sku, quantity }));
  return inspect ? { kind: "requested", lines } : { kind: "accepted", lines, ...refundFor(bought, quantities) };
}

/** How many pieces of each SKU these lines have together. */
export function quantitiesOf(lines: readonly { readonly sku: Sku; readonly quantity: number }[]): Map<Sku, number> {
  const quantities = new Map<Sku, number>();
  for (const { sku, quantity } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  return quantities;
}

/** What these many more pieces give back. */
export function refundFor({ held, allocations }: Bought, quantities: ReadonlyMap<Sku, number>): Refund {
  const refunds = held.map((line) => refundOf(line, quantities.get(line.sku) ?? 0, allocations));
  return {
    refundMinor: refunds.reduce((sum, it) => sum + it.refundMinor, 0),
    pointsMinor: refunds.reduce((sum, it) => sum + it.pointsMinor, 0),
  };
}
