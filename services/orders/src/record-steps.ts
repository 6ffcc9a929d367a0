import { publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { armDeadlines, closeTasksOf, disarmDeadlines, openTasks } from "@onsale/saga";
import type { Order, OrderStep } from "./order.ts";
import { announceChanges } from "./order-changes.ts";
import { type OrderStepName, sagaName } from "./order-saga.ts";
import { updateOrders } from "./store/order.ts";
import { insertHistory } from "./store/order-history.ts";
import { telemetry } from "./telemetry.ts";

/** Writes and tells steps of orders whose rows are locked, the steps of one order in their order. */
export async function recordSteps(
  tx: Transaction,
  steps: readonly OrderStep[],
  { ids }: { readonly ids: { uuid(): string } },
): Promise<void> {
  if (steps.length === 0) return;
  const orders = lastOfEach(steps);
  // All are sent at once and answered in this order; so an ended order's deadlines go before those of its end are set.
  await Promise.all([
    updateOrders(tx, orders),
    insertHistory(
      tx,
      steps.map((step) => step.entry),
    ),
    disarmDeadlines(
      tx,
      sagaName,
      steps.flatMap((step) => (step.ended ? step.order.orderId : [])),
    ),
    armDeadlines(
      tx,
      sagaName,
      steps.flatMap((step) => step.arm),
    ),
    callPeople(tx, steps, ids),
    publish(
      tx,
      steps.flatMap((step) => step.told ?? []),
    ),
  ]);
  tx.afterCommit(() => {
    announceChanges(
      tx.home,
      orders.map((order) => order.orderId),
    );
    for (const [status, count] of countEnds(steps)) telemetry.orderEnded({ status, count });
  });
}

const lastOfEach = (steps: readonly OrderStep[]): Order[] => [
  ...new Map(steps.map(({ order }) => [order.orderId, order])).values(),
];

/** Opens a task where something stays owed for too long, and closes it where it settles after all. */
async function callPeople(tx: Transaction, steps: readonly OrderStep[], ids: { uuid(): string }): Promise<void> {
  const calls = steps.flatMap(({ order, call }) => (call === undefined ? [] : { order, call }));
  const tasks = calls.map(({ order, call }) => ({
    taskId: ids.uuid(),
    kind: taskKind(call),
    key: order.orderId,
    what: sentence[call],
  }));
  const settled = Map.groupBy(
    steps.filter((step) => step.settled !== undefined),
    (step) => step.settled,
  );
  await Promise.all([
    openTasks(tx, tasks),
    ...[...settled].flatMap(([step, of]) =>
      step === undefined
        ? []
        : closeTasksOf(tx, {
            kind: taskKind(step),
            keys: of.map(({ order }) => order.orderId),
            closedBy: "orders",
            outcome: "It was told done after all.",
          }),
    ),
  ]);
  if (tasks.length > 0) tx.afterCommit(() => telemetry.personCalled({ count: tasks.length }));
}

const taskKind = (step: OrderStepName): string => `order.owed.${step}`;

const sentence: Readonly<Record<OrderStepName, string>> = {
  "reserve-stock": "The order has ended, and inventory has not told that its stock is back on the shelf.",
  "hold-points": "The order has ended, and the wallet has not told that its points are given back.",
  "authorise-payment": "The order has ended, and whether its payment was given back is still unknown.",
  "confirm-stock": "The order has ended, and its stock is not known to be released.",
  "capture-payment": "The order has ended, and its capture is not known to be reversed.",
};

function countEnds(steps: readonly OrderStep[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { ended, order } of steps) if (ended) counts.set(order.status, (counts.get(order.status) ?? 0) + 1);
  return counts;
}
