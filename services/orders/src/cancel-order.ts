import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import type { Cause } from "@onsale/messaging";
import { type Database, databaseNow } from "@onsale/postgres";
import { cancelWished } from "./news.ts";
import { hear, type OrderStatus } from "./order.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { lockOrders } from "./store/order.ts";

export interface CancelWish {
  readonly orderId: OrderId;
  readonly buyerId: BuyerId;
  readonly cause: Cause;
}

export type CancelOutcome =
  /** It is, or will be, given back. The status is the one at this moment. */
  | { readonly kind: "accepted"; readonly status: OrderStatus }
  /** The buyer has no such order. */
  | { readonly kind: "not-found" }
  /** It was refused already: there is nothing to cancel. */
  | { readonly kind: "rejected" };

/** Turns an order back for its buyer, before or after it was paid. Doing it again changes nothing. */
export async function cancelOrder(
  database: Database,
  { orderId, buyerId, cause }: CancelWish,
  ports: OrderPorts,
): Promise<CancelOutcome> {
  return database.transaction(async (tx) => {
    const [orders, at] = await Promise.all([lockOrders(tx, [orderId]), databaseNow(tx)]);
    const order = orders.get(orderId);
    if (order?.buyerId !== buyerId) return { kind: "not-found" };
    if (order.status === "REJECTED") return { kind: "rejected" };
    const step = hear(order, cancelWished, { at, cause, timeouts: ports.stepTimeoutsMs ?? {} });
    if (step) await recordSteps(tx, [step], ports);
    return { kind: "accepted", status: step?.order.status ?? order.status };
  });
}
