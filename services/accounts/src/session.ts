import { createHash, randomBytes } from "node:crypto";

/**
 * An hour: an access token can't be called back, so this is how long one still works after its session has ended. Shorter
 * would make every long-running client refresh in the middle of its work.
 */
export const accessTokenSeconds = 3_600;
/** A guest has no refresh token; a day is longer than any purchase. */
export const guestTokenSeconds = 24 * 3_600;
/** A person who comes back within a month stays logged in. */
export const refreshTokenDays = 30;

/** A new secret of 256 random bits, and what is stored of it. */
export function newRefreshToken(): { token: string; tokenHash: Buffer } {
  const token = randomBytes(32).toString("base64url");
  return { token, tokenHash: hashRefreshToken(token) };
}

export const hashRefreshToken = (token: string): Buffer => createHash("sha256").update(token).digest();

/** What the database knows of a refresh token that somebody presents. */
export interface PresentedToken {
  readonly usedAt: string | null;
  readonly expiresAt: string;
  readonly sessionEndedAt: string | null;
}

/** `stolen`: the token was used before, so two have it, and neither can be told from the thief. */
export type RefreshDecision = "renew" | "refuse" | "stolen";

/** @param now Database time, RFC 3339. */
export function decideRefresh(presented: PresentedToken | undefined, now: string): RefreshDecision {
  if (presented === undefined || presented.sessionEndedAt !== null) return "refuse";
  if (presented.usedAt !== null) return "stolen";
  return presented.expiresAt > now ? "renew" : "refuse";
}
