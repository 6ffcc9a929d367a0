import type { BuyerId, Sku } from "@onsale/contracts/ids";
import { as, integer, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";

export interface Receipt {
  readonly receiptId: string;
  readonly receiptNumber: string | null;
  readonly sku: Sku;
  readonly units: number;
}

const insertReceiptSql = sql("inventory.insert-receipt", {
  takes: [uuid, nullable(text), as<Sku>(text), integer, as<BuyerId>(uuid)],
  gives: { receiptId: uuid },
})`
  insert into inventory.receipt (receipt_id, receipt_number, sku, units, received_by) values ($1, $2, $3, $4, $5)
  on conflict (receipt_number, sku) do nothing
  returning receipt_id as "receiptId"`;

/** Records a receipt; false where its number came before for this SKU. */
export async function insertReceipt(
  tx: Transaction,
  { receiptId, receiptNumber, sku, units, receivedBy }: Receipt & { readonly receivedBy: BuyerId },
): Promise<boolean> {
  const rows = await tx.query(insertReceiptSql, [receiptId, receiptNumber, sku, units, receivedBy]);
  return rows.length === 1;
}

const receiptNumberedSql = sql("inventory.receipt-numbered", {
  takes: [text, as<Sku>(text)],
  gives: { receiptId: uuid, receiptNumber: text, sku: as<Sku>(text), units: integer },
})`
  select receipt_id as "receiptId", receipt_number as "receiptNumber", sku, units
  from inventory.receipt where receipt_number = $1 and sku = $2`;

export async function receiptNumbered(tx: Transaction, receiptNumber: string, sku: Sku): Promise<Receipt | undefined> {
  return (await tx.query(receiptNumberedSql, [receiptNumber, sku]))[0];
}
