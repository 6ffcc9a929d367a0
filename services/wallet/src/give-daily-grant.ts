import type { BuyerId } from "@onsale/contracts/ids";
import { type Instant, later } from "@onsale/contracts/time";
import { databaseNow, type Transaction } from "@onsale/postgres";
import { chargeWallet } from "./charge-wallet.ts";
import { type DailyGrant, dayIn } from "./daily-grant.ts";
import { borneByTheShop, lotIdOf } from "./lot.ts";
import { claimDay, openGrant } from "./store/daily-grant.ts";
import { telemetry } from "./telemetry.ts";

export type Granted =
  | ({
      readonly kind: "granted";
      readonly day: string;
      readonly expiresAt: Instant;
      readonly availableMinor: number;
    } & DailyGrant)
  | { readonly kind: "not-found" | "too-large" }
  | { readonly kind: "taken-today"; readonly day: string };

const dayMs = 24 * 3_600_000;

/** Gives a person the day's grant, once: the row of the claim decides, whoever asks at the same time. */
export async function giveDailyGrant(tx: Transaction, personId: BuyerId, name: string): Promise<Granted> {
  const [grant, now] = await Promise.all([openGrant(tx, name), databaseNow(tx)]);
  if (grant === undefined) return { kind: "not-found" };
  const { currency, amountMinor, timeZone, validDays } = grant;
  const day = dayIn(timeZone, now);
  if (!(await claimDay(tx, { personId, name, day, currency, amountMinor }))) return { kind: "taken-today", day };
  const expiresAt = later(now, validDays * dayMs);
  const charged = await chargeWallet(
    tx,
    { personId, currency },
    {
      kind: "GRANTED",
      lot: { lotId: lotIdOf("GRANT", name, day, personId), source: "GRANT", bearers: borneByTheShop, expiresAt },
      amountMinor,
      about: {},
    },
  );
  if (charged.kind === "too-large") return charged;
  tx.afterCommit(() => telemetry.dailyGranted());
  return { kind: "granted", day, expiresAt, availableMinor: charged.availableMinor, ...grant };
}
