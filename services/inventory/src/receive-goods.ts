import type { BuyerId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { BasePorts, Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { documented } from "./ledger.ts";
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
  | { readonly kind: "unknown-location" }
  /** The SKU's units have names, and these have none. */
  | { readonly kind: "named-units" };

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
  const { identified } = await openShelf(tx, sku, location);
  if (identified) return { kind: "named-units" };
  if (!inspect)
    await moveUnits(tx, [{ ...documented(receipt.receiptId, { sku, location, cause }), kind: "RECEIVED", units }]);
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
