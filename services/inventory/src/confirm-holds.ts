import type { orderAuthorised } from "@onsale/contracts/orders";
import type { paymentAuthorised } from "@onsale/contracts/payments";
import type { pointsHeld } from "@onsale/contracts/wallet";
import { causedBy, type Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type Allocation, whenAuthorised } from "./allocation.ts";
import { type DueStep, takeSteps } from "./step-allocations.ts";
import { lockAllocations } from "./store/allocation.ts";
import { holdsOf } from "./store/hold.ts";
import { telemetry } from "./telemetry.ts";

type Authorised = Delivered<typeof orderAuthorised | typeof paymentAuthorised | typeof pointsHeld>;

/**
 * Sells the held units to orders whose payment is authorised; one whose holds are gone is told that they lapsed. An order
 * that inventory never heard of is left to its own deadline: nothing was ever held for it.
 */
export async function confirmHolds(tx: Transaction, facts: readonly Authorised[]): Promise<void> {
  const authorised = facts.filter(paysForTheWhole);
  if (authorised.length === 0) return;
  const orderIds = authorised.map(({ data }) => data.orderId);
  const [allocations, holds] = await Promise.all([lockAllocations(tx, orderIds), holdsOf(tx, orderIds)]);
  const events = new Map(authorised.map((event) => [event.data.orderId, event]));

  const due = allocations.flatMap((allocation) => stepOf(allocation, events.get(allocation.allocationId)));

  await takeSteps(tx, due, holds);
  tellAfterCommit(tx, due);
}

/** Points that are held are the whole of a choreographed order that is paid with nothing else. */
const paysForTheWhole = (fact: Authorised): boolean =>
  fact.type !== "points.held.v1" || fact.data.dues?.method === "wallet";

function stepOf(allocation: Allocation, event: Authorised | undefined): DueStep[] {
  const step = event && whenAuthorised(allocation, event.time);
  return step ? [{ allocation, step, cause: causedBy(event) }] : [];
}

function tellAfterCommit(tx: Transaction, due: readonly DueStep[]): void {
  const lapsed = due.filter(({ step }) => step.to === "LAPSED").length;
  tx.afterCommit(() => {
    telemetry.stockConfirmed({ count: due.length - lapsed });
    if (lapsed > 0) telemetry.stockLapsed({ count: lapsed });
  });
}
