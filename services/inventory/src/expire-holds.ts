import type { Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { whenExpired } from "./allocation.ts";
import type { InventoryPorts } from "./ports.ts";
import { takeSteps } from "./step-allocations.ts";
import { lockExpired } from "./store/allocation.ts";
import { holdsOf } from "./store/hold.ts";
import { telemetry } from "./telemetry.ts";

/** Who tells that a held order is paid for, by who leads its steps. */
const payers = { orchestrated: ["orders"], choreographed: ["orders", "payments", "wallet"] } as const;

/** Puts back what is held past its time, for at most `limit` orders and buyers; returns for how many. */
export async function expireHolds(
  tx: Transaction,
  { ids, saga = "orchestrated" }: Pick<InventoryPorts, "ids" | "saga">,
  limit: number,
): Promise<number> {
  const expired = await lockExpired(tx, { heardOf: payers[saga], limit });
  if (expired.length === 0) return 0;
  const holds = await holdsOf(
    tx,
    expired.map(({ allocationId }) => allocationId),
  );
  // The clock caused it: a story of its own begins here.
  const cause: Cause = { correlationId: ids.uuid() };

  const due = expired.flatMap((allocation) => {
    const step = whenExpired(allocation);
    return step ? [{ allocation, step, cause }] : [];
  });

  await takeSteps(tx, due, holds);
  tx.afterCommit(() => telemetry.stockExpired({ count: due.length }));
  return expired.length;
}
