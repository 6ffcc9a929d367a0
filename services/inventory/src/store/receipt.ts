import type { BuyerId, Sku } from "@onsale/contracts/ids";
import { as, boolean, integer, nullable, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Location } from "../location.ts";

export interface Receipt {
  readonly receiptId: string;
  readonly receiptNumber: string | null;
  readonly sku: Sku;
  readonly units: number;
  readonly location: Location;
  /** None of it is for sale before somebody has looked at it. */
  readonly inspect: boolean;
}

/** What was found when a receipt was looked at, in pieces. */
export interface Inspection {
  readonly receiptId: string;
  readonly accepted: number;
  readonly damaged: number;
  readonly note: string | null;
}

const receiptColumns = {
  receiptId: uuid,
  receiptNumber: nullable(text),
  sku: as<Sku>(text),
  units: integer,
  location: as<Location>(text),
  inspect: boolean,
} as const;

const insertReceiptSql = sql("inventory.insert-receipt", {
  takes: [uuid, nullable(text), as<Sku>(text), integer, as<Location>(text), boolean, as<BuyerId>(uuid)],
  gives: { receiptId: uuid },
})`
  insert into inventory.receipt (receipt_id, receipt_number, sku, units, location, inspect, received_by)
  values ($1, $2, $3, $4, $5, $6, $7)
  on conflict (receipt_number, sku) do nothing
  returning receipt_id as "receiptId"`;

/** Records a receipt; false where its number came before for this SKU. */
export async function insertReceipt(
  tx: Transaction,
  { receiptId, receiptNumber, sku, units, location, inspect, receivedBy }: Receipt & { readonly receivedBy: BuyerId },
): Promise<boolean> {
  const rows = await tx.query(insertReceiptSql, [receiptId, receiptNumber, sku, units, location, inspect, receivedBy]);
  return rows.length === 1;
}

const receiptNumberedSql = sql("inventory.receipt-numbered", {
  takes: [text, as<Sku>(text)],
  gives: receiptColumns,
})`
  select receipt_id as "receiptId", receipt_number as "receiptNumber", sku, units, location, inspect
  from inventory.receipt where receipt_number = $1 and sku = $2`;

export async function receiptNumbered(tx: Transaction, receiptNumber: string, sku: Sku): Promise<Receipt | undefined> {
  return (await tx.query(receiptNumberedSql, [receiptNumber, sku]))[0];
}

const receiptSql = sql("inventory.receipt", { takes: [uuid], gives: receiptColumns })`
  select receipt_id as "receiptId", receipt_number as "receiptNumber", sku, units, location, inspect
  from inventory.receipt where receipt_id = $1`;

export const receiptOf = async (database: Queryable, receiptId: string): Promise<Receipt | undefined> =>
  (await database.query(receiptSql, [receiptId]))[0];

const insertInspectionSql = sql("inventory.insert-inspection", {
  takes: [uuid, integer, integer, nullable(text), as<BuyerId>(uuid)],
  gives: {},
})`
  insert into inventory.inspection (receipt_id, accepted, damaged, note, inspected_by) values ($1, $2, $3, $4, $5)
  on conflict (receipt_id) do nothing`;

/** Records what was found; false where the receipt was inspected before. */
export const insertInspection = async (
  tx: Transaction,
  { receiptId, accepted, damaged, note, inspectedBy }: Inspection & { readonly inspectedBy: BuyerId },
): Promise<boolean> => (await tx.execute(insertInspectionSql, [receiptId, accepted, damaged, note, inspectedBy])) === 1;

const inspectionSql = sql("inventory.inspection", {
  takes: [uuid],
  gives: { receiptId: uuid, accepted: integer, damaged: integer, note: nullable(text) },
})`
  select receipt_id as "receiptId", accepted, damaged, note from inventory.inspection where receipt_id = $1`;

/** What was found of a receipt; undefined where nobody has looked yet. */
export const inspectionOf = async (database: Queryable, receiptId: string): Promise<Inspection | undefined> =>
  (await database.query(inspectionSql, [receiptId]))[0];
