import { stockReleased } from "@onsale/contracts/inventory";
import type { orderCancelled, orderRejected, orderWithdrawn } from "@onsale/contracts/orders";
import type { paymentCaptureRefused, paymentDeclined } from "@onsale/contracts/payments";
import type { pointsRefused } from "@onsale/contracts/wallet";
import { causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { whenEnded } from "./allocation.ts";
import { takeSteps } from "./step-allocations.ts";
import { entomb, lockAllocations } from "./store/allocation.ts";
import { holdsOf } from "./store/hold.ts";
import { telemetry } from "./telemetry.ts";

type Ended = Delivered<
  | typeof orderRejected
  | typeof orderCancelled
  | typeof orderWithdrawn
  | typeof paymentDeclined
  | typeof paymentCaptureRefused
  | typeof pointsRefused
>;

/**
 * Gives back what ended orders hold or were sold, and tells them that nothing of their stock is left. An order that was
 * never allocated is marked, so that a reserve which comes late holds nothing for it.
 */
export async function releaseHolds(tx: Transaction, ended: readonly Ended[]): Promise<void> {
  const events = new Map(ended.map((event) => [event.data.orderId, event]));
  const orderIds = [...events.keys()];
  const [allocations, holds] = await Promise.all([lockAllocations(tx, orderIds), holdsOf(tx, orderIds)]);

  const due = allocations.flatMap((allocation) => {
    const event = events.get(allocation.allocationId);
    const step = whenEnded(allocation);
    return event && step ? [{ allocation, step, cause: causedBy(event) }] : [];
  });
  const known = new Set(allocations.map(({ allocationId }) => allocationId));
  const unknown = [...events.values()].filter(({ data }) => !known.has(data.orderId));

  await Promise.all([takeSteps(tx, due, holds), buryUnknown(tx, unknown)]);
  tx.afterCommit(() => telemetry.stockReleased({ count: due.length }));
}

async function buryUnknown(tx: Transaction, ended: readonly Ended[]): Promise<void> {
  if (ended.length === 0) return;
  await Promise.all([
    entomb(
      tx,
      ended.map(({ data }) => data.orderId),
    ),
    publish(
      tx,
      ended.map((event) =>
        fact(stockReleased, { data: { orderId: event.data.orderId }, sequence: 1, cause: causedBy(event) }),
      ),
    ),
  ]);
}
