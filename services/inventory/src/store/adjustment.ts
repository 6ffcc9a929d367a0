import type { BuyerId, Sku } from "@onsale/contracts/ids";
import { as, integer, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Adjustment } from "../adjust-stock.ts";
import type { Location } from "../location.ts";

const insertAdjustmentSql = sql("inventory.insert-adjustment", {
  takes: [uuid, as<Sku>(text), as<Location>(text), integer, text, nullable(text), as<BuyerId>(uuid)],
  gives: {},
})`
  insert into inventory.adjustment (adjustment_id, sku, location, units, reason, note, adjusted_by)
  values ($1, $2, $3, $4, $5, $6, $7)`;

/** Records what somebody changed by hand. */
export async function insertAdjustment(
  tx: Transaction,
  { adjustmentId, sku, location, units, reason, note, adjustedBy }: Adjustment & { readonly adjustmentId: string },
): Promise<void> {
  await tx.execute(insertAdjustmentSql, [adjustmentId, sku, location, units, reason, note, adjustedBy]);
}
