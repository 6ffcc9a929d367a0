import type { BuyerId, Sku } from "@onsale/contracts/ids";
import { as, integer, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Adjustment } from "../adjust-stock.ts";

const insertAdjustmentSql = sql("inventory.insert-adjustment", {
  takes: [uuid, as<Sku>(text), integer, text, nullable(text), as<BuyerId>(uuid)],
  gives: {},
})`
  insert into inventory.adjustment (adjustment_id, sku, units, reason, note, adjusted_by)
  values ($1, $2, $3, $4, $5, $6)`;

/** Records what somebody changed by hand. */
export async function insertAdjustment(
  tx: Transaction,
  { adjustmentId, sku, units, reason, note, adjustedBy }: Adjustment & { readonly adjustmentId: string },
): Promise<void> {
  await tx.execute(insertAdjustmentSql, [adjustmentId, sku, units, reason, note, adjustedBy]);
}
