import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import type { Cause } from "@onsale/messaging";
import { type Database, databaseNow, type Transaction } from "@onsale/postgres";
import { lapseWithOrder } from "./lapse-returns.ts";
import { cancelWished } from "./news.ts";
import { hear, type Order, type OrderStatus, type OrderStep } from "./order.ts";
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
    if (step) await recordSteps(tx, [step, ...(await takenAlong(tx, order, step, at))], ports);
    return { kind: "accepted", status: step?.order.status ?? order.status };
  });
}

/** Only a confirmed order has returns. */
const takenAlong = (tx: Transaction, before: Order, step: OrderStep, at: string): Promise<OrderStep[]> | OrderStep[] =>
  before.progress.phase === "completed" ? lapseWithOrder(tx, step.order, at) : [];
