import { maximumAmountMinor } from "@onsale/contracts/money";
import type { Transaction } from "@onsale/postgres";
import type { About } from "./ledger.ts";
import type { NewLot } from "./lot.ts";
import type { PurseKey } from "./purse.ts";
import { lockPurses, openBalances, storePurses } from "./store/purse.ts";

/** The most that a balance may grow to: that of one order, so that a thousand times as much still stays exact in a number. */
export const maximumBalanceMinor = maximumAmountMinor;

export interface Charge {
  readonly kind: "CREDITED" | "GRANTED" | "REDEEMED";
  readonly lot: NewLot;
  readonly amountMinor: number;
  readonly about: About;
}

export type Charged =
  | { readonly kind: "charged"; readonly availableMinor: number }
  /** The balance would be too large; nothing was changed. */
  | { readonly kind: "too-large" };

/**
 * Points come into a wallet, which is made where there is none. Whoever comes through whichever door waits here for the
 * balance's row and adds to what the one before left.
 */
export async function chargeWallet(tx: Transaction, key: PurseKey, charge: Charge): Promise<Charged> {
  await openBalances(tx, [key]);
  const purses = await lockPurses(tx, [key]);
  const purse = purses.get(key);
  if (purse.availableMinor + purse.heldMinor + charge.amountMinor > maximumBalanceMinor) return { kind: "too-large" };
  purse.charge(charge.kind, charge.lot, charge.amountMinor, charge.about);
  await storePurses(tx, purses);
  return { kind: "charged", availableMinor: purse.availableMinor };
}
