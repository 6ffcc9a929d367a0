import type { BuyerId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { BasePorts, Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { moveUnits } from "./move-units.ts";
import { insertReceipt, type Receipt, receiptNumbered } from "./store/receipt.ts";
import { openShelf } from "./store/stock.ts";
import { telemetry } from "./telemetry.ts";

export interface Delivery {
  readonly sku: Sku;
  readonly units: Units;
  /** The number of the purchase order or delivery note: it counts once per SKU. */
  readonly receiptNumber: string | null;
  readonly receivedBy: BuyerId;
  readonly cause: Cause;
}

export type Received =
  | { readonly kind: "received" | "repeated"; readonly receipt: Receipt }
  | { readonly kind: "number-reused"; readonly receipt: Receipt };

/** Puts goods on the shelf. The same receipt number again changes nothing, whatever Idempotency-Key it comes under. */
export async function receiveGoods(
  tx: Transaction,
  delivery: Delivery,
  { ids }: Pick<BasePorts, "ids">,
): Promise<Received> {
  const { sku, units, receiptNumber, receivedBy, cause } = delivery;
  const receipt: Receipt = { receiptId: ids.uuid(), receiptNumber, sku, units };
  if (!(await insertReceipt(tx, { ...receipt, receivedBy }))) return whatCameBefore(tx, delivery);
  await openShelf(tx, sku);
  await moveUnits(tx, [
    { kind: "RECEIVED", sku, units, orderId: null, documentId: receipt.receiptId, limitedBuyer: null, cause },
  ]);
  tx.afterCommit(() => telemetry.goodsReceived());
  return { kind: "received", receipt };
}

async function whatCameBefore(tx: Transaction, { sku, units, receiptNumber }: Delivery): Promise<Received> {
  const receipt = receiptNumber === null ? undefined : await receiptNumbered(tx, receiptNumber, sku);
  if (!receipt) throw new Error("A receipt was refused as known, and is not to be found.");
  return { kind: receipt.units === units ? "repeated" : "number-reused", receipt };
}
