/** What the shop gives to everybody once a day, and when a day is. */

import type { Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";

export interface DailyGrant {
  readonly name: string;
  readonly currency: Currency;
  readonly amountMinor: number;
  /** An IANA name: the day begins at its midnight. */
  readonly timeZone: string;
  /** Days of 24 hours until the points end. */
  readonly validDays: number;
}

/** The calendar day, as `2026-11-22`, that it is at a moment in a time zone. */
export function dayIn(timeZone: string, at: Instant): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  const { year, month, day } = Object.fromEntries(
    parts.formatToParts(new Date(at)).map(({ type, value }) => [type, value]),
  );
  return `${year}-${month}-${day}`;
}

/** Whether this is the name of a time zone that days can be counted in. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
