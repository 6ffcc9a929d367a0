import type { BuyerId } from "@onsale/contracts/ids";
import type { Instant } from "@onsale/contracts/time";
import type { BasePorts } from "@onsale/messaging";
import { databaseNow, type Transaction } from "@onsale/postgres";
import { chargeWallet } from "./charge-wallet.ts";
import { type Bearer, lotIdOf } from "./lot.ts";
import type { PurseKey } from "./purse.ts";
import { insertCredit } from "./store/credit.ts";
import { telemetry } from "./telemetry.ts";

export interface Credit extends PurseKey {
  readonly amountMinor: number;
  readonly reason: string;
  /** Null where the points never end. */
  readonly expiresAt: Instant | null;
  readonly bearers: readonly Bearer[];
  readonly creditedBy: BuyerId;
}

export type Credited =
  | { readonly kind: "credited"; readonly creditId: string; readonly availableMinor: number }
  | { readonly kind: "too-large" | "ended-already" };

/** An operator gives somebody points, and says why. */
export async function creditWallet(
  tx: Transaction,
  credit: Credit,
  { ids }: Pick<BasePorts, "ids">,
): Promise<Credited> {
  const { personId, currency, amountMinor, expiresAt, bearers } = credit;
  if (expiresAt !== null && expiresAt <= (await databaseNow(tx))) return { kind: "ended-already" };
  const creditId = ids.uuid();
  const charged = await chargeWallet(
    tx,
    { personId, currency },
    {
      kind: "CREDITED",
      lot: { lotId: lotIdOf("CREDIT", creditId), source: "CREDIT", bearers, expiresAt },
      amountMinor,
      about: { documentId: creditId },
    },
  );
  if (charged.kind === "too-large") return charged;
  await insertCredit(tx, { creditId, ...credit });
  tx.afterCommit(() => telemetry.walletCredited());
  return { kind: "credited", creditId, availableMinor: charged.availableMinor };
}
