/** An order as it is shown to people. */

import { problem } from "@onsale/http";
import { type Allocation, buyer, paidFor } from "./allocation.ts";
import { errors } from "./errors.ts";
import { shownReturn } from "./show-return.ts";
import type { OrderView } from "./store/order.ts";
import type { StoredLine } from "./store/order-line.ts";
import type { StoredReturn } from "./store/order-return.ts";

/** Another person's order is as good as none: that it exists is nobody else's business. */
export function ownOrder(order: OrderView | undefined, person: { readonly id: string }): OrderView {
  if (order?.buyerId !== person.id) throw problem(404, errors.ORDER_NOT_FOUND);
  return order;
}

/** While an order is being given back its reason is known, but not yet its end. */
export const shown = ({ buyerId: _, version: __, method, pointsMinor, ...order }: OrderView) => ({
  ...order,
  payment: { method, pointsMinor },
  reason: order.status === "REJECTED" || order.status === "CANCELLED" ? order.reason : null,
});

export interface OrderParts {
  readonly lines: readonly StoredLine[];
  readonly allocations: readonly Allocation[];
  readonly returns: readonly StoredReturn[];
}

/** With its lines, who bears the price of each, and what came back. */
export const shownWhole = (order: OrderView, { lines, allocations, returns }: OrderParts) => ({
  ...shown(order),
  lines: lines.map((line) => shownLine(line, allocations)),
  returns: returns.map(shownReturn),
});

function shownLine({ position: _, ...line }: StoredLine, allocations: readonly Allocation[]) {
  const { cardMinor } = paidFor(line, allocations);
  const others = allocations.filter(({ sku }) => sku === line.sku).map(({ sku: __, ...it }) => it);
  const card = { kind: "CARD", borneBy: buyer, amountMinor: cardMinor } as const;
  return { ...line, allocations: cardMinor > 0 ? [...others, card] : others };
}
