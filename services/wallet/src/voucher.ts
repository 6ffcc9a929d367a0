/** Gift vouchers: what their codes look like, and what may be taken out of one. */

import { createHash, randomBytes } from "node:crypto";
import type { Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import type { Bearer } from "./lot.ts";

export interface Voucher {
  readonly batchId: string;
  readonly currency: Currency;
  readonly remainingMinor: number;
  /** Null where it never ends. What is taken out of it ends with it. */
  readonly expiresAt: Instant | null;
  readonly bearers: readonly Bearer[];
}

export type Redemption =
  | { readonly kind: "redeemed"; readonly amountMinor: number }
  | { readonly kind: "ended" | "empty" }
  | { readonly kind: "has-less"; readonly remainingMinor: number };

/** What a voucher gives at that moment: what is wanted, or all that is left of it where nothing is said. */
export function decideRedemption(
  { remainingMinor, expiresAt }: Voucher,
  wantedMinor: number | null,
  now: Instant,
): Redemption {
  if (expiresAt !== null && expiresAt <= now) return { kind: "ended" };
  if (remainingMinor === 0) return { kind: "empty" };
  const amountMinor = wantedMinor ?? remainingMinor;
  return amountMinor > remainingMinor ? { kind: "has-less", remainingMinor } : { kind: "redeemed", amountMinor };
}

// Crockford's: without I, L, O and U, so that nobody reads one sign for another.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const groups = 4;
const groupLength = 5;

/** Four groups of five signs: a hundred random bits, which nobody guesses and no table of hashes holds. */
export function newVoucherCode(): string {
  const signs = [...randomBytes(groups * groupLength)].map((byte) => alphabet[byte % alphabet.length]);
  return Array.from({ length: groups }, (_, group) =>
    signs.slice(group * groupLength, (group + 1) * groupLength).join(""),
  ).join("-");
}

/**
 * What is stored of a code. However a person writes it down, in small letters, without the dashes, with O for 0, it is the
 * same voucher. One round of a plain hash is enough for a hundred random bits.
 */
export const voucherHash = (code: string): Buffer =>
  createHash("sha256")
    .update(code.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0").replaceAll(/[IL]/g, "1"))
    .digest();
