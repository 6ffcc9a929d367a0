import type { BuyerId, Sku } from "@onsale/contracts/ids";
import type { BasePorts, Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { documented } from "./ledger.ts";
import { mainLocation } from "./location.ts";
import { moveUnits } from "./move-units.ts";
import type { UnitName } from "./stock.ts";
import { insertReceipt, type Receipt, receiptNumbered } from "./store/receipt.ts";
import { insertStock, lockStock } from "./store/stock.ts";
import { identify, insertUnits } from "./store/unit.ts";
import { telemetry } from "./telemetry.ts";

export interface UnitDelivery {
  readonly sku: Sku;
  /** Each once, in the order in which those are given who name none. */
  readonly names: readonly UnitName[];
  readonly receiptNumber: string | null;
  readonly receivedBy: BuyerId;
  readonly cause: Cause;
}

export type Named =
  | { readonly kind: "named" | "repeated"; readonly receipt: Receipt }
  /** The SKU has units without a name. */
  | { readonly kind: "counted" }
  | { readonly kind: "number-reused" }
  | { readonly kind: "units-exist"; readonly names: readonly UnitName[] };

/**
 * Puts units that have names on the shelf: the seats of a hall. All of them lie in main. After a refusal the transaction is
 * to be rolled back: it may have written some of them.
 */
export async function nameUnits(
  tx: Transaction,
  delivery: UnitDelivery,
  { ids }: Pick<BasePorts, "ids">,
): Promise<Named> {
  const { sku, names, receiptNumber, receivedBy, cause } = delivery;
  const receipt: Receipt = {
    ...{ receiptId: ids.uuid(), receiptNumber, sku, units: names.length },
    ...{ location: mainLocation, inspect: false },
  };
  if (!(await insertReceipt(tx, { ...receipt, receivedBy }))) return await whatCameBefore(tx, delivery);
  await insertStock(tx, sku);
  await lockStock(tx, sku);
  if (!(await identify(tx, sku))) return { kind: "counted" };
  const added = new Set(await insertUnits(tx, sku, names));
  if (added.size < names.length) return { kind: "units-exist", names: names.filter((name) => !added.has(name)) };
  const movement = documented(receipt.receiptId, { sku, location: mainLocation, cause });
  await moveUnits(
    tx,
    names.map((unit) => ({ ...movement, kind: "RECEIVED", units: 1, unit })),
  );
  tx.afterCommit(() => telemetry.goodsReceived());
  return { kind: "named", receipt };
}

async function whatCameBefore(tx: Transaction, { sku, names, receiptNumber }: UnitDelivery): Promise<Named> {
  const receipt = receiptNumber === null ? undefined : await receiptNumbered(tx, receiptNumber, sku);
  return receipt?.units === names.length ? { kind: "repeated", receipt } : { kind: "number-reused" };
}
