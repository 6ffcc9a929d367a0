import type { BuyerId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import type { AmountMinor, Currency } from "@onsale/contracts/money";
import type { Cause } from "@onsale/messaging";
import { databaseNow, type Transaction } from "@onsale/postgres";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { decideReturn, type ReturnedLine, type ReturnKind, returnStep } from "./returns.ts";
import { lockOrders } from "./store/order.ts";
import { readAllocations } from "./store/order-allocation.ts";
import { addReturned, readLines } from "./store/order-line.ts";
import { insertReturn } from "./store/order-return.ts";
import { telemetry } from "./telemetry.ts";

export interface ReturnWish {
  readonly orderId: OrderId;
  readonly buyerId: BuyerId;
  readonly lines: readonly ReturnedLine[];
  readonly kind: ReturnKind;
  readonly cause: Cause;
}

export type ReturnOutcome =
  | {
      readonly kind: "accepted";
      readonly returnId: ReturnId;
      readonly refundMinor: AmountMinor;
      readonly pointsMinor: AmountMinor;
      readonly currency: Currency;
    }
  | { readonly kind: "not-found" }
  /** It may be confirmed yet. */
  | { readonly kind: "undecided" }
  | { readonly kind: "not-returnable" }
  | { readonly kind: "more-than-held"; readonly skus: readonly Sku[] };

/** Takes units of a confirmed order back. Of one that is not decided yet nothing is taken: there is nothing paid to give back. */
export async function returnLines(
  tx: Transaction,
  { orderId, buyerId, lines, kind, cause }: ReturnWish,
  ports: OrderPorts,
): Promise<ReturnOutcome> {
  const orders = await lockOrders(tx, [orderId]);
  const order = orders.get(orderId);
  if (order?.buyerId !== buyerId) return { kind: "not-found" };
  // After the lock, because another return of this order may have been under way.
  const [held, allocations, at] = await Promise.all([
    readLines(tx, orderId),
    readAllocations(tx, orderId),
    databaseNow(tx),
  ]);
  const decision = decideReturn(order, { held, allocations }, lines);
  if (decision.kind === "not-returnable" && kind === "CANCELLATION" && order.progress.phase === "forward")
    return { kind: "undecided" };
  if (decision.kind !== "accepted") return decision;

  const { kind: _, ...decided } = decision;
  const returned = { returnId: ports.ids.uuid(), ...decided };
  await Promise.all([
    insertReturn(tx, { ...returned, kind, orderId, requestedAt: at }),
    addReturned(tx, orderId, returned.lines),
    recordSteps(tx, [returnStep(order, { ...returned, kind }, { at, cause })], ports),
  ]);
  tx.afterCommit(() => telemetry.orderReturned());
  const { returnId, refundMinor, pointsMinor } = returned;
  return { kind: "accepted", returnId, refundMinor, pointsMinor, currency: order.currency };
}
