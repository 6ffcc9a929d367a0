import type { OrderId } from "@onsale/contracts/ids";
import { causedBy } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type HeardEvent, newsOf } from "./news.ts";
import { hear, type Order, type OrderStep } from "./order.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { lockOrders } from "./store/order.ts";
import { claimRefunds, type RefundTold } from "./store/order-return.ts";
import { telemetry } from "./telemetry.ts";

/** Takes orders on by what inventory, payments and the wallet tell. */
export async function advanceOrders(tx: Transaction, events: readonly HeardEvent[], ports: OrderPorts): Promise<void> {
  const fresh = await withoutRepeatedRefunds(tx, events);
  const orders = await lockOrders(tx, [...new Set(events.map((event) => event.key))].sort());
  const steps = fresh.flatMap((event) => hearEvent(orders, event, ports));
  await recordSteps(tx, steps, ports);
}

const instruments: Readonly<Record<string, RefundTold["instrument"]>> = {
  "payment.refunded.v1": "card",
  "points.refunded.v1": "points",
};

/** Amounts are added up, so each refund counts once, also where an operator has it told again under another id. */
async function withoutRepeatedRefunds(tx: Transaction, events: readonly HeardEvent[]): Promise<HeardEvent[]> {
  const nameOf = ({ returnId, instrument }: RefundTold): string => `${returnId} ${instrument}`;
  const toldBy = (event: HeardEvent): RefundTold | undefined => {
    const instrument = instruments[event.type];
    return instrument && "returnId" in event.data ? { returnId: event.data.returnId, instrument } : undefined;
  };
  const left = new Set(
    (
      await claimRefunds(
        tx,
        events.flatMap((event) => toldBy(event) ?? []),
      )
    ).map(nameOf),
  );
  return events.filter((event) => {
    const refund = toldBy(event);
    return refund === undefined || left.delete(nameOf(refund));
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
