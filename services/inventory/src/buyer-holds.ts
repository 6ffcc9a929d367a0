import type { HoldId } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import type { BuyerHold } from "./stock.ts";
import { lockAllocations } from "./store/allocation.ts";
import { holdsOf } from "./store/hold.ts";

/** Locks holds that buyers took before there was an order, whatever became of them. One that never was is absent. */
export async function lockBuyerHolds(tx: Transaction, holdIds: readonly HoldId[]): Promise<BuyerHold[]> {
  if (holdIds.length === 0) return [];
  const locked = (await lockAllocations(tx, [...new Set(holdIds)])).filter(({ kind }) => kind === "HOLD");
  const parts = await holdsOf(
    tx,
    locked.map(({ allocationId }) => allocationId),
  );
  const byHold = Map.groupBy(parts, ({ allocationId }) => allocationId);
  // One that an order took over has no units of its own any more, and is not there for another.
  return locked.flatMap(({ allocationId: holdId, buyerId, state, expiresAt }) => {
    const ofHold = byHold.get(holdId) ?? [];
    const [first] = ofHold;
    const units = ofHold.reduce((sum, part) => sum + part.units, 0);
    return first ? [{ holdId, buyerId, state, expiresAt, sku: first.sku, units }] : [];
  });
}
