import type { OrderId } from "@onsale/contracts/ids";
import { causedBy } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type HeardEvent, newsOf } from "./news.ts";
import { hear, type Order, type OrderStep } from "./order.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { lockOrders } from "./store/order.ts";
import { telemetry } from "./telemetry.ts";

/** Takes orders on by what inventory, payments and the wallet tell. */
export async function advanceOrders(tx: Transaction, events: readonly HeardEvent[], ports: OrderPorts): Promise<void> {
  const orders = await lockOrders(tx, [...new Set(events.map((event) => event.key))].sort());
  const steps = events.flatMap((event) => hearEvent(orders, event, ports));
  await recordSteps(tx, steps, ports);
}

/** Hears one event, and keeps the order as it is after it for the next. */
function hearEvent(
  orders: Map<OrderId, Order>,
  event: HeardEvent,
  { clock, stepTimeoutsMs = {} }: OrderPorts,
): OrderStep[] {
  const order = orders.get(event.key);
  if (!order) {
    telemetry.orderUnknown({ orderId: event.key, type: event.type });
    return [];
  }
  const step = hear(order, newsOf(event), { at: clock.now(), cause: causedBy(event), timeouts: stepTimeoutsMs });
  if (!step) return [];
  orders.set(order.orderId, step.order);
  return [step];
}
