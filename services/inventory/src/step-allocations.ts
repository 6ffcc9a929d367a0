import { type Cause, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import type { Allocation, AllocationId, Step } from "./allocation.ts";
import { type Movement, movesOf } from "./ledger.ts";
import { moveUnits } from "./move-units.ts";
import type { Kept } from "./returned-goods.ts";
import { stepAllocations } from "./store/allocation.ts";

/** One allocation, what is to become of it, and why. */
export interface DueStep {
  readonly allocation: Allocation;
  readonly step: Step;
  readonly cause: Cause;
}

/** Takes steps of locked allocations: states, units and what is told change together. `holds` are all that these have. */
export async function takeSteps(tx: Transaction, due: readonly DueStep[], holds: readonly Kept[]): Promise<void> {
  if (due.length === 0) return;
  const byStep = Map.groupBy(due, ({ step }) => step);
  await Promise.all([
    ...[...byStep].map(([step, ofStep]) => store(tx, step, ofStep)),
    moveUnits(tx, movements(due, holds)),
    publish(tx, due.flatMap(announcement)),
  ]);
}

const store = (tx: Transaction, { to, tells }: Step, due: readonly DueStep[]): Promise<void> =>
  stepAllocations(tx, {
    state: to,
    events: tells ? 1 : 0,
    allocationIds: due.map(({ allocation }) => allocation.allocationId),
  });

function movements(due: readonly DueStep[], holds: readonly Kept[]): Movement[] {
  const byId = new Map<AllocationId, DueStep>(due.map((it) => [it.allocation.allocationId, it]));
  return holds.flatMap(({ allocationId, limited, ...part }) => {
    const it = byId.get(allocationId);
    if (!it?.step.move) return [];
    const limitedBuyer = limited ? it.allocation.buyerId : null;
    const orderId = it.allocation.kind === "ORDER" ? allocationId : null;
    return movesOf(part, { kind: it.step.move, orderId, documentId: null, limitedBuyer, cause: it.cause });
  });
}

const announcement = ({ allocation: { allocationId, version }, step: { tells }, cause }: DueStep) =>
  tells ? [fact(tells, { data: { orderId: allocationId }, sequence: version + 1, cause })] : [];
