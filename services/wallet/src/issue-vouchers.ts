import type { BuyerId } from "@onsale/contracts/ids";
import type { Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import { databaseNow, type Transaction } from "@onsale/postgres";
import type { Bearer } from "./lot.ts";
import { recordMovements } from "./store/entry.ts";
import { insertVoucherBatch, takeAllOfBatch, takeEndedVouchers, voidBatch } from "./store/voucher.ts";
import { telemetry } from "./telemetry.ts";
import { voucherHash } from "./voucher.ts";

export interface VoucherBatch {
  readonly batchId: string;
  readonly currency: Currency;
  /** What each voucher is worth. */
  readonly faceMinor: number;
  readonly bearers: readonly Bearer[];
  readonly reason: string;
  readonly expiresAt: Instant | null;
  readonly issuedBy: BuyerId;
}

/** Issues a voucher for each code. The codes themselves are kept nowhere. */
export async function issueVouchers(
  tx: Transaction,
  batch: VoucherBatch,
  codes: readonly string[],
): Promise<"issued" | "ended-already"> {
  const { batchId, currency, faceMinor, expiresAt } = batch;
  if (expiresAt !== null && expiresAt <= (await databaseNow(tx))) return "ended-already";
  await insertVoucherBatch(tx, batch, codes.map(voucherHash));
  const amountMinor = faceMinor * codes.length;
  await recordMovements(tx, [moved("VOUCHERS_ISSUED", { batchId, currency, amountMinor })]);
  tx.afterCommit(() => telemetry.vouchersIssued({ count: codes.length }));
  return "issued";
}

/** Calls back what is left in the vouchers of a batch, once; undefined where there is no such batch. What was redeemed stays. */
export async function voidVouchers(
  tx: Transaction,
  batchId: string,
  voidedBy: BuyerId,
): Promise<{ voidedMinor: number } | undefined> {
  const currency = await voidBatch(tx, batchId, voidedBy);
  if (currency === undefined) return undefined;
  const voidedMinor = await takeAllOfBatch(tx, batchId);
  if (voidedMinor > 0)
    await recordMovements(tx, [moved("VOUCHER_VOIDED", { batchId, currency, amountMinor: voidedMinor })]);
  return { voidedMinor };
}

/** Ends vouchers whose time has passed, the longest past first, at most `limit`; returns how many. */
export async function expireVouchers(tx: Transaction, limit: number): Promise<number> {
  const ended = await takeEndedVouchers(tx, limit);
  await recordMovements(
    tx,
    ended.map((voucher) => moved("VOUCHER_EXPIRED", voucher)),
  );
  if (ended.length > 0) tx.afterCommit(() => telemetry.vouchersExpired({ count: ended.length }));
  return ended.length;
}

const moved = (
  kind: "VOUCHERS_ISSUED" | "VOUCHER_VOIDED" | "VOUCHER_EXPIRED",
  { batchId, currency, amountMinor }: { batchId: string; currency: Currency; amountMinor: number },
) => ({ kind, personId: null, currency, amountMinor, orderId: null, documentId: batchId });
