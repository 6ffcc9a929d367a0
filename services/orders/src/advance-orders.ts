import type { OrderId } from "@onsale/contracts/ids";
import { causedBy } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type HeardEvent, newsOf } from "./news.ts";
import { hear, type Order, type OrderStep } from "./order.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { lockOrders } from "./store/order.ts";
import { claimReturnsTold, type ReturnTold } from "./store/order-return.ts";
import { telemetry } from "./telemetry.ts";

/** Takes orders on by what inventory, payments and the wallet tell. */
export async function advanceOrders(tx: Transaction, events: readonly HeardEvent[], ports: OrderPorts): Promise<void> {
  const fresh = await withoutRepeatedReturns(tx, events);
  const orders = await lockOrders(tx, [...new Set(events.map((event) => event.key))].sort());
  const steps = fresh.flatMap((event) => hearEvent(orders, event, ports));
  await recordSteps(tx, steps, ports);
}

/** What came of a return, by the event that tells it. */
const cameOfReturn: Readonly<Record<string, ReturnTold["what"]>> = {
  "payment.refunded.v1": "card",
  "points.refunded.v1": "points",
  "stock.restocked.v1": "goods",
};

/** Each refund is added up once, and each restock noted once, also where an operator has it told again, or under another id. */
async function withoutRepeatedReturns(tx: Transaction, events: readonly HeardEvent[]): Promise<HeardEvent[]> {
  const nameOf = ({ returnId, what }: ReturnTold): string => `${returnId} ${what}`;
  const toldBy = (event: HeardEvent): ReturnTold | undefined => {
    const what = cameOfReturn[event.type];
    return what && "returnId" in event.data ? { returnId: event.data.returnId, what } : undefined;
  };
  const left = new Set(
    (
      await claimReturnsTold(
        tx,
        events.flatMap((event) => toldBy(event) ?? []),
      )
    ).map(nameOf),
  );
  return events.filter((event) => {
    const told = toldBy(event);
    return told === undefined || left.delete(nameOf(told));
  });
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
