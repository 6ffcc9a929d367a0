/** How the file's orders are paid. Pure: the same file is paid alike in every run. */

import { createHash } from "node:crypto";
import type { Plan, PlannedOrder } from "./plan.ts";

/** `mixed`: a third of the customers' orders each way. */
export const paymentChoices = ["card", "wallet", "split", "mixed"] as const;
export type PaymentChoice = (typeof paymentChoices)[number];

const methods = ["card", "wallet", "split"] as const;

/** What the order says of its payment. */
export interface PaymentWish {
  readonly method: (typeof methods)[number];
  /** With `split`: the part that is paid with points. */
  readonly pointsMinor?: number;
}

export interface Payment {
  readonly wish: PaymentWish;
  /** What the buyer needs in points. */
  readonly neededPointsMinor: number;
}

const byCard: Payment = { wish: { method: "card" }, neededPointsMinor: 0 };

/** Guests have no points: they pay by card, as does who would have to split a single penny. */
export function paymentOf(choice: PaymentChoice, order: PlannedOrder, products: Plan["products"]): Payment {
  if (order.customer === undefined) return byCard;
  const totalMinor = order.lines.reduce(
    (sum, { sku, quantity }) => sum + quantity * (products.get(sku)?.priceMinor ?? 0),
    0,
  );
  const method = choice === "mixed" ? drawn(order.invoice) : choice;
  const pointsMinor = Math.floor(totalMinor / 2);
  switch (method) {
    case "card":
      return byCard;
    case "wallet":
      return { wish: { method }, neededPointsMinor: totalMinor };
    case "split":
      return pointsMinor === 0 ? byCard : { wish: { method, pointsMinor }, neededPointsMinor: pointsMinor };
    default:
      return method satisfies never;
  }
}

function drawn(invoice: string): PaymentWish["method"] {
  const [byte = 0] = createHash("sha256").update(invoice).digest();
  return methods[byte % methods.length] ?? "card";
}
