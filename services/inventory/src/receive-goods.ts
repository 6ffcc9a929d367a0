import type { BuyerId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { BasePorts, Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import type { Location } from "./location.ts";
import { moveUnits } from "./move-units.ts";
import { openShelf } from "./open-shelf.ts";
import { isLocation } from "./store/place.ts";
import { insertReceipt, type Receipt, receiptNumbered } from "./store/receipt.ts";
import { telemetry } from "./telemetry.ts";

export interface Delivery {
  readonly sku: Sku;
  readonly units: Units;
  readonly location: Location;
  /** The number of the purchase order or delivery note: it counts once per SKU. */
  readonly receiptNumber: string | null;
  /** None of it is for sale before somebody has looked at it. */
  readonly inspect: boolean;
  readonly receivedBy: BuyerId;
  readonly cause: Cause;
}

export type Received =
  | { readonly kind: "received" | "repeated"; readonly receipt: Receipt }
  | { readonly kind: "number-reused"; readonly receipt: Receipt }
  | { readonly kind: "unknown-location" };

/** Puts goods on the shelf, or aside until they are inspected. The same receipt number again changes nothing, whatever Idempotency-Key it comes under. */
export async function receiveGoods(
  tx: Transaction,
  delivery: Delivery,
  { ids }: Pick<BasePorts, "ids">,
): Promise<Received> {
  const { sku, units, location, receiptNumber, inspect, receivedBy, cause } = delivery;
  const receipt: Receipt = { receiptId: ids.uuid(), receiptNumber, sku, units, location, inspect };
  if (!(await isLocation(tx, location))) return { kind: "unknown-location" };
  if (!(await insertReceipt(tx, { ...receipt, receivedBy }))) return whatCameBefore(tx, delivery);
  await openShelf(tx, sku, location);
  if (!inspect)
    await moveUnits(tx, [
      {
        kind: "RECEIVED",
        sku,
        units,
        location,
        orderId: null,
        holdId: null,
        documentId: receipt.receiptId,
        limitedBuyer: null,
        cause,
      },
    ]);
  tx.afterCommit(() => telemetry.goodsReceived());
  return { kind: "received", receipt };
}

async function whatCameBefore(
  tx: Transaction,
  { sku, units, location, receiptNumber, inspect }: Delivery,
): Promise<Received> {
  const receipt = receiptNumber === null ? undefined : await receiptNumbered(tx, receiptNumber, sku);
  if (!receipt) throw new Error("A receipt was refused as known, and is not to be found.");
  const isSame = receipt.units === units && receipt.location === location && receipt.inspect === inspect;
  return { kind: isSame ? "repeated" : "number-reused", receipt };
}
