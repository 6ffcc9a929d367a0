import type { BuyerId } from "@onsale/contracts/ids";
import { databaseNow, type Transaction } from "@onsale/postgres";
import { chargeWallet } from "./charge-wallet.ts";
import { lotIdOf } from "./lot.ts";
import { lockVoucher, takeFromVoucher } from "./store/voucher.ts";
import { telemetry } from "./telemetry.ts";
import { decideRedemption, type Redemption, type Voucher, voucherHash } from "./voucher.ts";

export interface RedemptionWish {
  readonly personId: BuyerId;
  readonly code: string;
  /** Null: all that is left. */
  readonly amountMinor: number | null;
}

export type Redeemed =
  | (Pick<Voucher, "currency" | "expiresAt" | "remainingMinor"> & {
      readonly kind: "redeemed";
      readonly amountMinor: number;
      readonly availableMinor: number;
    })
  | { readonly kind: "not-found" | "too-large" }
  | Exclude<Redemption, { kind: "redeemed" }>;

/**
 * Puts what a voucher is worth, or a part of it, into a wallet; the rest stays in the voucher. From then on it is a lot like
 * others, which remembers who bears it, and to which a refund gives back.
 */
export async function redeemVoucher(tx: Transaction, wish: RedemptionWish): Promise<Redeemed> {
  const hash = voucherHash(wish.code);
  // The voucher's row before the balance's, in every transaction.
  const [voucher, now] = await Promise.all([lockVoucher(tx, hash), databaseNow(tx)]);
  if (voucher === undefined) return { kind: "not-found" };
  const redemption = decideRedemption(voucher, wish.amountMinor, now);
  if (redemption.kind !== "redeemed") return redemption;
  const { amountMinor } = redemption;
  const { currency, expiresAt, bearers, batchId: documentId } = voucher;
  await takeFromVoucher(tx, hash, amountMinor);
  const lotId = lotIdOf("VOUCHER", hash.toString("hex"), wish.personId);
  const charged = await chargeWallet(
    tx,
    { personId: wish.personId, currency },
    { kind: "REDEEMED", lot: { lotId, source: "VOUCHER", bearers, expiresAt }, amountMinor, about: { documentId } },
  );
  if (charged.kind === "too-large") return charged;
  tx.afterCommit(() => telemetry.voucherRedeemed());
  const remainingMinor = voucher.remainingMinor - amountMinor;
  return { kind: "redeemed", amountMinor, currency, expiresAt, remainingMinor, availableMinor: charged.availableMinor };
}
