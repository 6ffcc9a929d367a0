/** What a buyer earns by paying with money, and what of it goes when the money goes back. */

import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import type { Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import { wholeBasisPoints } from "./lot.ts";

export interface Earning {
  readonly orderId: OrderId;
  readonly personId: BuyerId;
  readonly currency: Currency;
  /** The lot into which they went. */
  readonly lotId: string;
  readonly paidMinor: number;
  readonly basisPoints: number;
  readonly earnedMinor: number;
  readonly refundedMinor: number;
  readonly takenBackMinor: number;
}

/** What is earned by that much money, in whole minor units. */
export const earnedBy = (paidMinor: number, basisPoints: number): number =>
  Number((BigInt(paidMinor) * BigInt(basisPoints)) / BigInt(wholeBasisPoints));

/**
 * The earning after more of its money went back: what stays is what the rest of the money would have earned, so that
 * returns piece by piece take back as much as one of the whole.
 */
export function afterRefund(earning: Earning, refundMinor: number): { after: Earning; takeBackMinor: number } {
  const refundedMinor = Math.min(earning.paidMinor, earning.refundedMinor + refundMinor);
  const kept = earnedBy(earning.paidMinor - refundedMinor, earning.basisPoints);
  const takenBackMinor = Math.max(earning.takenBackMinor, earning.earnedMinor - kept);
  return {
    after: { ...earning, refundedMinor, takenBackMinor },
    takeBackMinor: takenBackMinor - earning.takenBackMinor,
  };
}

/**
 * When points end that are earned now: with the month (UTC) in which they are a year old. All that is earned in a month
 * ends together and is one lot: a person who buys every day has thirteen of them, not hundreds.
 */
export function earnedUntil(now: Instant): Instant {
  const at = new Date(now);
  return new Date(Date.UTC(at.getUTCFullYear() + 1, at.getUTCMonth() + 1, 1)).toISOString();
}
