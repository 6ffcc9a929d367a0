/** What of a confirmed order may come back, and what is given back for it. Pure. */

import type { ReturnId, Sku } from "@onsale/contracts/ids";
import { orderReturned } from "@onsale/contracts/orders";
import { fact } from "@onsale/messaging";
import { type Allocation, type Refund, refundOf } from "./allocation.ts";
import { type Circumstances, type Order, type OrderStep, takeStep } from "./order.ts";

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
}

export type ReturnDecision =
  | ({ readonly kind: "accepted"; readonly lines: readonly ReturnedLine[] } & Refund)
  /** Only what was paid for and is not being cancelled can come back. */
  | { readonly kind: "not-returnable" }
  /** These SKUs are not in the order, or fewer of them are left than would come back. */
  | { readonly kind: "more-than-held"; readonly skus: readonly Sku[] };

/** Refunds what was paid for each unit, with what it was paid. Lines of one SKU are taken together. */
export function decideReturn(
  order: Pick<Order, "progress">,
  { held, allocations }: { readonly held: readonly HeldLine[]; readonly allocations: readonly Allocation[] },
  wanted: readonly ReturnedLine[],
): ReturnDecision {
  if (order.progress.phase !== "completed") return { kind: "not-returnable" };
  const quantities = new Map<Sku, number>();
  for (const { sku, quantity } of wanted) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  const lineOf = new Map(held.map((line) => [line.sku, line]));
  const left = (sku: Sku): number => (lineOf.get(sku)?.quantity ?? 0) - (lineOf.get(sku)?.returnedQuantity ?? 0);
  const tooMany = [...quantities].filter(([sku, quantity]) => quantity > left(sku)).map(([sku]) => sku);
  if (tooMany.length > 0) return { kind: "more-than-held", skus: tooMany };
  const lines = [...quantities].map(([sku, quantity]) => ({ sku, quantity }));
  const refunds = lines.flatMap(({ sku, quantity }) => {
    const line = lineOf.get(sku);
    return line ? refundOf(line, quantity, allocations) : [];
  });
  return {
    kind: "accepted",
    lines,
    refundMinor: refunds.reduce((sum, it) => sum + it.refundMinor, 0),
    pointsMinor: refunds.reduce((sum, it) => sum + it.pointsMinor, 0),
  };
}

/** The order's step by which units come back. */
export function returnStep(
  order: Order,
  {
    returnId,
    kind,
    lines,
    refundMinor,
    pointsMinor,
  }: { readonly returnId: ReturnId; readonly kind: ReturnKind; readonly lines: readonly ReturnedLine[] } & Refund,
  { at, cause }: Pick<Circumstances, "at" | "cause">,
): OrderStep {
  const data = {
    orderId: order.orderId,
    returnId,
    lines: lines.map(({ sku, quantity }) => ({ sku, units: quantity })),
    refundMinor,
    pointsMinor,
    currency: order.currency,
  };
  const news = {
    what: kind === "RETURN" ? "return-requested" : "lines-cancelled",
    money: { kind: "refunded", of: "card", amountMinor: refundMinor + pointsMinor },
  } as const;
  return {
    ...takeStep(order, (rest) => fact(orderReturned, { data, ...rest }), news, { at, cause }),
    arm: [],
    ended: false,
  };
}
