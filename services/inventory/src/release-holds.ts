import type { orderCancelled, orderRejected } from "@onsale/contracts/orders";
import { causedBy, type Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { whenEnded } from "./allocation.ts";
import { takeSteps } from "./step-allocations.ts";
import { entomb, lockAllocations } from "./store/allocation.ts";
import { holdsOf } from "./store/hold.ts";
import { telemetry } from "./telemetry.ts";

type Ended = Delivered<typeof orderRejected | typeof orderCancelled>;

/**
 * Gives back what ended orders hold or were sold. An order that was never allocated is marked, so that a reserve which
 * comes late holds nothing for it.
 */
export async function releaseHolds(tx: Transaction, ended: readonly Ended[]): Promise<void> {
  const events = new Map(ended.map((event) => [event.data.orderId, event]));
  const orderIds = [...events.keys()];
  const [allocations, holds] = await Promise.all([lockAllocations(tx, orderIds), holdsOf(tx, orderIds)]);
  const known = new Set(allocations.map(({ orderId }) => orderId));

  const due = allocations.flatMap((allocation) => {
    const event = events.get(allocation.orderId);
    const step = whenEnded(allocation);
    return event && step ? [{ allocation, step, cause: causedBy(event) }] : [];
  });

  await Promise.all([
    entomb(
      tx,
      orderIds.filter((orderId) => !known.has(orderId)),
    ),
    takeSteps(tx, due, holds),
  ]);
  tx.afterCommit(() => telemetry.stockReleased({ count: due.length }));
}
