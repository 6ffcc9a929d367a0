import type { BuyerId } from "@onsale/contracts/ids";
import type { Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { documented, type Movement } from "./ledger.ts";
import { moveUnits } from "./move-units.ts";
import { type Inspection, insertInspection, inspectionOf, type Receipt, receiptOf } from "./store/receipt.ts";
import { lockStock } from "./store/stock.ts";
import { telemetry } from "./telemetry.ts";

export interface InspectionReport extends Inspection {
  readonly inspectedBy: BuyerId;
  readonly cause: Cause;
}

export type Inspected =
  | { readonly kind: "inspected" | "repeated"; readonly receipt: Receipt }
  /** It was inspected before, with another result. */
  | { readonly kind: "contradicted" }
  | { readonly kind: "unknown-receipt" }
  /** Its goods went onto the shelf when they came in. */
  | { readonly kind: "not-awaited" }
  /** The SKU's units have been given names since, and these have none. */
  | { readonly kind: "named-units" }
  /** More was found than came in. */
  | { readonly kind: "too-many"; readonly receipt: Receipt };

/** Puts what is good of a receipt on the shelf, and what is damaged into quarantine; once per receipt. */
export async function inspectReceipt(tx: Transaction, report: InspectionReport): Promise<Inspected> {
  const receipt = await receiptOf(tx, report.receiptId);
  if (!receipt) return { kind: "unknown-receipt" };
  if (!receipt.inspect) return { kind: "not-awaited" };
  if (report.accepted + report.damaged > receipt.units) return { kind: "too-many", receipt };
  if ((await lockStock(tx, receipt.sku))?.identified) return { kind: "named-units" };
  if (!(await insertInspection(tx, report))) return await whatWasFoundBefore(tx, receipt, report);
  await moveUnits(tx, movements(receipt, report));
  tx.afterCommit(() => telemetry.receiptInspected());
  return { kind: "inspected", receipt };
}

function movements({ receiptId, sku, location }: Receipt, { accepted, damaged, cause }: InspectionReport): Movement[] {
  const movement = documented(receiptId, { sku, location, cause });
  const found: Movement[] = [
    { ...movement, kind: "RECEIVED", units: accepted },
    { ...movement, kind: "REFUSED", units: damaged },
  ];
  return found.filter(({ units }) => units > 0);
}

async function whatWasFoundBefore(tx: Transaction, receipt: Receipt, report: Inspection): Promise<Inspected> {
  const before = await inspectionOf(tx, receipt.receiptId);
  if (!before) throw new Error("An inspection was refused as known, and is not to be found.");
  const isSame = before.accepted === report.accepted && before.damaged === report.damaged;
  return isSame ? { kind: "repeated", receipt } : { kind: "contradicted" };
}
