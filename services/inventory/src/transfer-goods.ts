import type { BuyerId, Sku } from "@onsale/contracts/ids";
import type { BasePorts, Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { documented, type Movement } from "./ledger.ts";
import type { Location } from "./location.ts";
import { moveUnits } from "./move-units.ts";
import { openShelf } from "./open-shelf.ts";
import { lockLevelAt } from "./shelf-level.ts";
import { isLocation } from "./store/place.ts";
import { type Arrival, arrivalOf, insertArrival, insertTransfer, type Transfer, transferOf } from "./store/transfer.ts";
import { telemetry } from "./telemetry.ts";

export interface TransferWish {
  readonly sku: Sku;
  readonly from: Location;
  readonly to: Location;
  readonly units: number;
  readonly note: string | null;
  readonly sentBy: BuyerId;
  readonly cause: Cause;
}

export type Sent =
  | { readonly kind: "sent"; readonly transfer: Transfer }
  | { readonly kind: "same-location" | "unknown-location" | "unknown-sku" | "named-units" }
  | { readonly kind: "too-many"; readonly there: number };

/** Sends goods from one location to another: from now on nobody can buy them, until they have arrived. */
export async function sendGoods(tx: Transaction, wish: TransferWish, { ids }: Pick<BasePorts, "ids">): Promise<Sent> {
  const { sku, from, to, units, cause } = wish;
  if (from === to) return { kind: "same-location" };
  if (!(await isLocation(tx, to))) return { kind: "unknown-location" };
  const level = await lockLevelAt(tx, sku, from);
  if (!level) return { kind: "unknown-sku" };
  if (level.identified) return { kind: "named-units" };
  if (units > level.available) return { kind: "too-many", there: level.available };

  const transfer = { ...wish, transferId: ids.uuid() };
  await openShelf(tx, sku, to);
  await Promise.all([
    insertTransfer(tx, transfer),
    moveUnits(tx, [
      { ...documented(transfer.transferId, { sku, location: from, cause }), kind: "SENT", units },
      { ...documented(transfer.transferId, { sku, location: to, cause }), kind: "EXPECTED", units },
    ]),
  ]);
  tx.afterCommit(() => telemetry.goodsSent());
  return { kind: "sent", transfer };
}

export interface ArrivalReport extends Arrival {
  readonly receivedBy: BuyerId;
  readonly cause: Cause;
}

export type Arrived =
  | { readonly kind: "arrived" | "repeated"; readonly transfer: Transfer }
  | { readonly kind: "unknown-transfer" }
  /** It arrived before, with another number of units. */
  | { readonly kind: "contradicted" }
  | { readonly kind: "too-many"; readonly transfer: Transfer };

/** Puts what arrived of a transfer on the shelf there, once per transfer; what did not is lost. */
export async function receiveTransfer(tx: Transaction, report: ArrivalReport): Promise<Arrived> {
  const transfer = await transferOf(tx, report.transferId);
  if (!transfer) return { kind: "unknown-transfer" };
  if (report.units > transfer.units) return { kind: "too-many", transfer };
  if (!(await insertArrival(tx, report))) {
    const before = await arrivalOf(tx, report.transferId);
    return before?.units === report.units ? { kind: "repeated", transfer } : { kind: "contradicted" };
  }
  const { transferId, sku, to: location } = transfer;
  const movement = documented(transferId, { sku, location, cause: report.cause });
  const found: Movement[] = [
    { ...movement, kind: "ARRIVED", units: report.units },
    { ...movement, kind: "MISSED", units: transfer.units - report.units },
  ];
  await moveUnits(
    tx,
    found.filter(({ units }) => units > 0),
  );
  tx.afterCommit(() => telemetry.goodsArrived());
  return { kind: "arrived", transfer };
}
