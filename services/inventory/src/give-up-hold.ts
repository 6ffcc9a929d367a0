import type { BuyerId, HoldId } from "@onsale/contracts/ids";
import type { Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { whenGivenUp } from "./allocation.ts";
import { takeSteps } from "./step-allocations.ts";
import { lockAllocations } from "./store/allocation.ts";
import { holdsOf } from "./store/hold.ts";
import { telemetry } from "./telemetry.ts";

export type GivenUp =
  /** It is over, now or before. */
  | "given-up"
  | "not-found"
  /** An order has it: the order is what can be cancelled. */
  | "attached";

/** Puts back what a buyer had set aside. */
export async function giveUpHold(
  tx: Transaction,
  { holdId, buyerId, cause }: { readonly holdId: HoldId; readonly buyerId: BuyerId; readonly cause: Cause },
): Promise<GivenUp> {
  const [allocation] = await lockAllocations(tx, [holdId]);
  if (allocation?.kind !== "HOLD" || allocation.buyerId !== buyerId) return "not-found";
  if (allocation.state === "ATTACHED") return "attached";
  const step = whenGivenUp(allocation);
  if (step) {
    await takeSteps(tx, [{ allocation, step, cause }], await holdsOf(tx, [holdId]));
    tx.afterCommit(() => telemetry.holdsGivenUp());
  }
  return "given-up";
}
