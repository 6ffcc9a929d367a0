/** The last nets: what is unsettled for too long is given to a person, and what nobody asks about is found. */

import type { OrderId } from "@onsale/contracts/ids";
import type { Job, ServiceContext } from "@onsale/runtime";
import { openTasks } from "@onsale/saga";
import type { PaymentsPorts } from "./ports.ts";
import { PaymentChange, recordSteps, unsettledTask } from "./record-steps.ts";
import { lockPayments, lookForForgotten } from "./store/payment.ts";
import { claimOverdue, countUnsettled } from "./store/unsettled.ts";
import { telemetry, unsettledNow } from "./telemetry.ts";

// Beyond this it does not matter any more how many there are.
const countLimit = 10_000;
// A person can't look at more between two runs; the rest stays claimable.
const callLimit = 100;

/** Measures what is unsettled, and calls a person for each payment that is so past its bound, once. */
export async function watchUnsettled({ database, ports }: ServiceContext<PaymentsPorts>): Promise<void> {
  Object.assign(unsettledNow, await countUnsettled(database, countLimit));
  await database.transaction(async (tx) => {
    const overdue = await claimOverdue(tx, { boundMs: ports.askingAgain.overdueMs, limit: callLimit });
    await openTasks(
      tx,
      overdue.map(({ orderId, since }) => ({
        taskId: ports.ids.uuid(),
        kind: unsettledTask,
        key: orderId,
        what: `What the card provider did for order ${orderId} is unknown since ${since}.`,
      })),
    );
    tx.afterCommit(() => {
      for (const { orderId, since } of overdue) telemetry.overdue({ orderId, since });
    });
  });
}

// An order's event is tried for some minutes before its key is set aside; nobody asks about it after that.
const forgottenAfterSeconds = 900;
// A hundred payments a second: a few ms of work each time, and a million are gone through in three hours.
const lookLimit = 1_000;
const firstOrderId = "00000000-0000-0000-0000-000000000000";

/**
 * Goes round all payments, a piece at each run, and gives open questions that nobody asks any more to the job that asks
 * again. There should be none: the consumer repeats what it did not settle. This is for an event that an operator
 * dropped, and for our own mistakes; an index over open questions would cost each payment three index writes instead.
 */
export function createForgottenSearch(): Job<PaymentsPorts>["run"] {
  let after: OrderId = firstOrderId;
  return async ({ database, ports }) => {
    const seen = await lookForForgotten(database, { after, limit: lookLimit, afterSeconds: forgottenAfterSeconds });
    const forgotten = seen.filter(({ isForgotten }) => isForgotten).map(({ orderId }) => orderId);
    if (forgotten.length > 0) await handOver(database, ports, forgotten);
    after = seen.length < lookLimit ? firstOrderId : (seen.at(-1)?.orderId ?? firstOrderId);
  };
}

async function handOver(
  database: ServiceContext<PaymentsPorts>["database"],
  { askingAgain }: PaymentsPorts,
  orderIds: readonly OrderId[],
): Promise<void> {
  await database.transaction(async (tx) => {
    const payments = await lockPayments(tx, orderIds);
    const changes = [...payments.values()]
      .filter(({ ask, isUnsettled }) => ask !== null && !isUnsettled)
      .map((payment) => {
        const change = new PaymentChange(payment);
        change.askAgain = "at-once";
        return change;
      });
    await recordSteps(tx, changes, askingAgain);
    tx.afterCommit(() => telemetry.forgotten({ count: changes.length }));
  });
}
