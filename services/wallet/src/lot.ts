/** What points are made of: where they came from, who pays for them, and when they end. */

import { createHash } from "node:crypto";
import type { Instant } from "@onsale/contracts/time";

export type LotSource = "CREDIT" | "EARNED" | "GRANT" | "VOUCHER";

/** Somebody who pays for points when they are used, and for which share of them. */
export interface Bearer {
  readonly bearer: string;
  readonly basisPoints: number;
}

/** The whole, in hundredths of a percent. */
export const wholeBasisPoints = 10_000;

export const borneByTheShop: readonly Bearer[] = [{ bearer: "shop", basisPoints: wholeBasisPoints }];

/** Whether the shares are the whole, each bearer named once. */
export const isWhole = (bearers: readonly Bearer[]): boolean =>
  new Set(bearers.map(({ bearer }) => bearer)).size === bearers.length &&
  bearers.reduce((sum, { basisPoints }) => sum + basisPoints, 0) === wholeBasisPoints;

export interface Lot {
  readonly lotId: string;
  readonly remainingMinor: number;
  /** Null where the points never end. */
  readonly expiresAt: Instant | null;
}

/** A lot as it is told about when points come in; it may be there already. */
export interface NewLot extends Pick<Lot, "lotId" | "expiresAt"> {
  readonly source: LotSource;
  readonly bearers: readonly Bearer[];
}

/** The one that ends first comes first; equal ends by id, so that everybody takes in the same order. */
export function byExpiry(one: Pick<Lot, "lotId" | "expiresAt">, other: Pick<Lot, "lotId" | "expiresAt">): number {
  if (one.expiresAt === other.expiresAt) return one.lotId < other.lotId ? -1 : 1;
  if (one.expiresAt === null) return 1;
  if (other.expiresAt === null) return -1;
  return one.expiresAt < other.expiresAt ? -1 : 1;
}

/**
 * The id of the lot for what these words name: the same words, the same lot, so that a person who is given a little a
 * thousand times from one source has one lot and not a thousand.
 */
export function lotIdOf(source: LotSource, ...words: readonly string[]): string {
  const hex = createHash("sha256")
    .update(JSON.stringify([source, ...words]))
    .digest("hex");
  // The form of a UUID of version 8, which is for ids that an application makes up by a rule of its own.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/**
 * Splits an amount among those who bear it, to the last minor unit: each gets the whole part of its share, and what is left
 * goes one by one to those who were cut the most.
 */
export function splitAmong(amountMinor: number, bearers: readonly Bearer[]): { bearer: string; amountMinor: number }[] {
  const shares = bearers.map(({ bearer, basisPoints }) => {
    const exact = BigInt(amountMinor) * BigInt(basisPoints);
    const whole = BigInt(wholeBasisPoints);
    return { bearer, amountMinor: Number(exact / whole), cut: Number(exact % whole) };
  });
  const left = amountMinor - shares.reduce((sum, share) => sum + share.amountMinor, 0);
  const luckiest = new Set(shares.toSorted((one, other) => other.cut - one.cut).slice(0, left));
  return shares.map((share) => ({
    bearer: share.bearer,
    amountMinor: share.amountMinor + (luckiest.has(share) ? 1 : 0),
  }));
}
