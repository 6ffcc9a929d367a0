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
  /** None of it is for sale before somebody has looked at it. */
  readonly inspect: boolean;
  readonly receivedBy: BuyerId;
  readonly cause: Cause;
}

export type Received =
  | { readonly kind: "received" | "repeated"; readonly receipt: Receipt }
  | { readonly kind: "number-reused"; readonly receipt: Receipt };

/** Puts goods on the shelf, or aside until they are inspected. The same receipt number again changes nothing, whatever Idempotency-Key it comes under. */
export async function receiveGoods(
  tx: Transaction,
  delivery: Delivery,
  { ids }: Pick<BasePorts, "ids">,
): Promise<Received> {
  const { sku, units, receiptNumber, inspect, receivedBy, cause } = delivery;
  const receipt: Receipt = { receiptId: ids.uuid(), receiptNumber, sku, units, inspect };
  if (!(await insertReceipt(tx, { ...receipt, receivedBy }))) return whatCameBefore(tx, delivery);
  await openShelf(tx, sku);
  if (!inspect)
    await moveUnits(tx, [
      { kind: "RECEIVED", sku, units, orderId: null, documentId: receipt.receiptId, limitedBuyer: null, cause },
    ]);
  tx.afterCommit(() => telemetry.goodsReceived());
  return { kind: "received", receipt };
}

async function whatCameBefore(tx: Transaction, { sku, units, receiptNumber, inspect }: Delivery): Promise<Received> {
  const receipt = receiptNumber === null ? undefined : await receiptNumbered(tx, receiptNumber, sku);
  if (!receipt) throw new Error("A receipt was refused as known, and is not to be found.");
  const isSame = receipt.units === units && receipt.inspect === inspect;
  return { kind: isSame ? "repeated" : "number-reused", receipt };
}
