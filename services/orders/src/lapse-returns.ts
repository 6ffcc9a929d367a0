import type { Instant } from "@onsale/contracts/time";
import { type Database, databaseNow, type Transaction } from "@onsale/postgres";
import { armDeadlines, disarmDeadlines, takeDueDeadlines } from "@onsale/saga";
import type { Order, OrderStep } from "./order.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { returnSaga } from "./return-lines.ts";
import { type LapseReason, lapseStep } from "./return-steps.ts";
import { lockFreeOrders } from "./store/order.ts";
import { endUnseen, openReturnsOfOrders, returnsWithOrders } from "./store/order-return.ts";
import { telemetry } from "./telemetry.ts";

// As the watermarks call this service.
const reader = "orders";
// Some hundred short row locks at a time: a transaction of a few milliseconds, so that no order waits for it.
const batchSize = 200;

/** Ends returns that nobody has looked at in time, batch by batch, until none is due. */
export async function lapseReturns(database: Database, ports: OrderPorts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const taken = await database.transaction((tx) => lapseBatch(tx, ports));
    if (taken < batchSize) return;
  }
}

/** Gives the number of returns that were dealt with. */
async function lapseBatch(tx: Transaction, ports: OrderPorts): Promise<number> {
  const [due, at] = await Promise.all([
    takeDueDeadlines(tx, { saga: returnSaga, reader, limit: batchSize }),
    databaseNow(tx),
  ]);
  if (due.length === 0) return 0;
  const returns = new Map(
    (
      await returnsWithOrders(
        tx,
        due.map(({ key }) => key),
      )
    ).map((it) => [it.returnId, it.orderId]),
  );
  // Never waits for an order: who holds one may be waiting for a deadline that was taken here.
  const orders = await lockFreeOrders(tx, [...new Set(returns.values())].sort());
  const held = due.filter(({ key }) => !orders.has(returns.get(key) ?? ""));
  const asked = new Set(due.map(({ key }) => key));
  const open = (await openReturnsOfOrders(tx, [...orders.keys()])).filter(({ returnId }) => asked.has(returnId));
  const steps = open.flatMap(({ returnId, orderId }): OrderStep[] => {
    const order = orders.get(orderId);
    if (!order) return [];
    const step = lapsed(order, { returnId, reason: "TIMED_OUT", at });
    orders.set(orderId, step.order);
    return [step];
  });
  await Promise.all([
    endUnseen(tx, { returnIds: open.map(({ returnId }) => returnId), reason: "TIMED_OUT", at }),
    armDeadlines(tx, returnSaga, held),
    recordSteps(tx, steps, ports),
  ]);
  tx.afterCommit(() => telemetry.returnLapsed({ count: open.length }));
  return due.length - held.length;
}

/** Nobody's doing: neither an event nor a request of somebody's is behind it. */
const lapsed = (order: Order, { at, ...rest }: { returnId: string; reason: LapseReason; at: Instant }): OrderStep =>
  lapseStep(order, rest, { at, cause: { correlationId: order.correlationId } });

/**
 * The steps by which an order that is given back as a whole takes its open returns with it: they would be paid back twice.
 * The caller holds the order, and records the steps.
 */
export async function lapseWithOrder(tx: Transaction, order: Order, at: Instant): Promise<OrderStep[]> {
  const open = await openReturnsOfOrders(tx, [order.orderId]);
  if (open.length === 0) return [];
  const returnIds = open.map(({ returnId }) => returnId);
  await Promise.all([
    endUnseen(tx, { returnIds, reason: "ORDER_CANCELLED", at }),
    disarmDeadlines(tx, returnSaga, returnIds),
  ]);
  let last = order;
  return returnIds.map((returnId) => {
    const step = lapsed(last, { returnId, reason: "ORDER_CANCELLED", at });
    last = step.order;
    return step;
  });
}
