import { type Database, databaseNow, type Transaction } from "@onsale/postgres";
import { armDeadlines, type Deadline, takeDueDeadlines } from "@onsale/saga";
import { overdue } from "./news.ts";
import { hear, type Order, type OrderStep } from "./order.ts";
import { deadlinesOf, lookWait, nextLook, type OrderWait, type StepTimeoutsMs, sagaName } from "./order-saga.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { lockFreeOrders } from "./store/order.ts";
import { telemetry } from "./telemetry.ts";

// As the watermarks call this service.
const reader = "orders";
// Deadlines of each awaited service in one transaction: a tenth of a second's work, so that orders which go on do not wait.
const batchSize = 500;

/** Turns back what waits for too long, batch by batch, until nothing is due. */
export async function endOverdueOrders(database: Database, ports: OrderPorts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const taken = await database.transaction((tx) => endBatch(tx, ports));
    if (taken < batchSize) return;
  }
}

/** Gives the number of deadlines that were dealt with. */
async function endBatch(tx: Transaction, ports: OrderPorts): Promise<number> {
  const [due, at] = await Promise.all([
    takeDueDeadlines(tx, { saga: sagaName, reader, limit: batchSize }),
    databaseNow(tx),
  ]);
  if (due.length === 0) return 0;
  // Never waits for an order: who holds one may be waiting for a deadline that was taken here.
  const orders = await lockFreeOrders(tx, [...new Set(due.map(({ key }) => key))].sort());
  const held = new Set(due.filter(({ key }) => !orders.has(key)));
  const again: Deadline[] = [...held];
  const steps: OrderStep[] = [];
  for (const deadline of due) {
    const order = orders.get(deadline.key);
    if (!order) continue;
    const result = act(order, deadline, at, ports.stepTimeoutsMs ?? {});
    again.push(...result.again);
    if (!result.step) continue;
    steps.push(result.step);
    orders.set(order.orderId, result.step.order);
  }
  await Promise.all([armDeadlines(tx, sagaName, again), recordSteps(tx, steps, ports)]);
  return due.length - held.size;
}

interface Acted {
  readonly step?: OrderStep;
  readonly again: readonly Deadline[];
}

/** What a deadline that passed means for its order: the order may have gone on since it was set. */
function act(order: Order, { wait }: Deadline, at: string, timeouts: StepTimeoutsMs): Acted {
  if (wait === lookWait) return { again: lookAt(order, at, timeouts) };
  const passed = wait as OrderWait;
  const step = hear(order, overdue(passed), { at, cause: { correlationId: order.correlationId }, timeouts });
  if (!step) return { again: [] };
  telemetry.orderOverdue({ wait: passed, orderId: order.orderId });
  return { step, again: [] };
}

/** An order that is still on its way gets the deadline of the step it waits for, and another look for the steps behind. */
function lookAt(order: Order, at: string, timeouts: StepTimeoutsMs): Deadline[] {
  if (order.progress.phase !== "forward") return [];
  return [...deadlinesOf(order, order.progress, order.progressedAt, timeouts), nextLook(order, at, timeouts)];
}
