/** The pace of a bulk message. Pure. */

/** The most messages of one turn, whatever the rate: what is taken up is sent before the next turn. */
export const turnLimit = 256;

/**
 * Milliseconds of its rate that a bulk message may catch up on: after a pause it goes on, it does not hurry. A second, and the time of
 * one message: that of the next, which is part gone when a turn comes, would be lost at every turn otherwise.
 */
export const longestCreditMs = (ratePerSecond: number): number => 1_000 + 1_000 / ratePerSecond;

/** How many messages the rate allows after so many milliseconds. */
export const allowed = (elapsedMs: number, ratePerSecond: number): number =>
  // A thousandth of a message makes up for what a floating point number leaves away.
  Math.min(turnLimit, Math.floor((elapsedMs * ratePerSecond) / 1_000 + 0.001));
