import type { BuyerId, Sku } from "@onsale/contracts/ids";
import type { BasePorts, Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type AdjustmentDecision, type AdjustmentWish, decideAdjustment } from "./adjustment.ts";
import { documented } from "./ledger.ts";
import type { Location } from "./location.ts";
import { moveUnits } from "./move-units.ts";
import { lockLevelAt } from "./shelf-level.ts";
import { insertAdjustment } from "./store/adjustment.ts";
import { telemetry } from "./telemetry.ts";

export interface Adjustment extends AdjustmentWish {
  readonly sku: Sku;
  readonly location: Location;
  readonly note: string | null;
  readonly adjustedBy: BuyerId;
  readonly cause: Cause;
}

export type Adjusted =
  | { readonly kind: "adjusted"; readonly adjustmentId: string }
  | { readonly kind: "unknown-sku" }
  /** Its units have names: none of them is like another. */
  | { readonly kind: "named-units" }
  | Exclude<AdjustmentDecision, { readonly kind: "adjusted" }>;

/** Changes by hand what is on the shelf or in quarantine, never below what is taken. */
export async function adjustStock(
  tx: Transaction,
  adjustment: Adjustment,
  { ids }: Pick<BasePorts, "ids">,
): Promise<Adjusted> {
  const { sku, location, reason, cause } = adjustment;
  const level = await lockLevelAt(tx, sku, location);
  if (!level) return { kind: "unknown-sku" };
  if (level.identified) return { kind: "named-units" };
  const decision = decideAdjustment(level, adjustment);
  if (decision.kind !== "adjusted") return decision;

  const adjustmentId = ids.uuid();
  await Promise.all([
    insertAdjustment(tx, { ...adjustment, adjustmentId }),
    moveUnits(tx, [
      { ...documented(adjustmentId, { sku, location, cause }), kind: decision.move, units: decision.units },
    ]),
  ]);
  tx.afterCommit(() => telemetry.stockAdjusted({ reason }));
  return { kind: "adjusted", adjustmentId };
}
