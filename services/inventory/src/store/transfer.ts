import type { BuyerId, Sku } from "@onsale/contracts/ids";
import { as, integer, nullable, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Location } from "../location.ts";

export interface Transfer {
  readonly transferId: string;
  readonly sku: Sku;
  readonly from: Location;
  readonly to: Location;
  readonly units: number;
  readonly note: string | null;
}

/** What of a transfer came in, in pieces. */
export interface Arrival {
  readonly transferId: string;
  readonly units: number;
  readonly note: string | null;
}

const insertTransferSql = sql("inventory.insert-transfer", {
  takes: [uuid, as<Sku>(text), as<Location>(text), as<Location>(text), integer, nullable(text), as<BuyerId>(uuid)],
  gives: {},
})`
  insert into inventory.transfer (transfer_id, sku, from_location, to_location, units, note, sent_by)
  values ($1, $2, $3, $4, $5, $6, $7)`;

export async function insertTransfer(
  tx: Transaction,
  { transferId, sku, from, to, units, note, sentBy }: Transfer & { readonly sentBy: BuyerId },
): Promise<void> {
  await tx.execute(insertTransferSql, [transferId, sku, from, to, units, note, sentBy]);
}

const transferSql = sql("inventory.transfer", {
  takes: [uuid],
  gives: {
    transferId: uuid,
    sku: as<Sku>(text),
    from: as<Location>(text),
    to: as<Location>(text),
    units: integer,
    note: nullable(text),
  },
})`
  select transfer_id as "transferId", sku, from_location as "from", to_location as "to", units, note
  from inventory.transfer where transfer_id = $1`;

export const transferOf = async (database: Queryable, transferId: string): Promise<Transfer | undefined> =>
  (await database.query(transferSql, [transferId]))[0];

const insertArrivalSql = sql("inventory.insert-arrival", {
  takes: [uuid, integer, nullable(text), as<BuyerId>(uuid)],
  gives: {},
})`
  insert into inventory.transfer_arrival (transfer_id, units, note, received_by) values ($1, $2, $3, $4)
  on conflict (transfer_id) do nothing`;

/** Records what came in; false where the transfer came in before. */
export const insertArrival = async (
  tx: Transaction,
  { transferId, units, note, receivedBy }: Arrival & { readonly receivedBy: BuyerId },
): Promise<boolean> => (await tx.execute(insertArrivalSql, [transferId, units, note, receivedBy])) === 1;

const arrivalSql = sql("inventory.arrival", {
  takes: [uuid],
  gives: { transferId: uuid, units: integer, note: nullable(text) },
})`
  select transfer_id as "transferId", units, note from inventory.transfer_arrival where transfer_id = $1`;

/** What came in of a transfer; undefined while it is on its way. */
export const arrivalOf = async (database: Queryable, transferId: string): Promise<Arrival | undefined> =>
  (await database.query(arrivalSql, [transferId]))[0];
