/** The pace of a bulk message. Pure. */

/** The most messages of one turn, whatever the rate: what is taken up is sent before the next turn. */
export const turnLimit = 256;

/** Milliseconds between two turns of a bulk message that are made up for: after a longer pause it goes on, it does not hurry. */
export const longestPauseMs = (ratePerSecond: number): number => Math.max(1_000, 1_000 / ratePerSecond);

/** The same and the time of one message: what of it had gone at the turn before would be lost at every turn otherwise. */
export const longestCreditMs = (ratePerSecond: number): number => longestPauseMs(ratePerSecond) + 1_000 / ratePerSecond;

/** How many messages the rate allows after so many milliseconds. */
export const allowed = (elapsedMs: number, ratePerSecond: number): number =>
  // A thousandth of a message makes up for what a floating point number leaves away.
  Math.min(turnLimit, Math.floor((elapsedMs * ratePerSecond) / 1_000 + 0.001));
