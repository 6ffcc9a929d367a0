import { createHash, randomBytes } from "node:crypto";
import type { AccountRole } from "./role.ts";

// An access token can't be called back, so this is how long one still works after its session has ended or its role was
// taken. An hour for buyers: shorter would make every long-running client refresh in the middle of its work.
const buyersTokenSeconds = 3_600;
// Half of that for those who can do harm in the shop.
const staffsTokenSeconds = 1_800;

/** Seconds that an access token works: the longest that a taken role, an ended session or an erased account is still felt. */
export const accessTokenSeconds = (role: AccountRole): number =>
  role === "customer" ? buyersTokenSeconds : staffsTokenSeconds;

/** A guest has no refresh token; a day is longer than any purchase. */
export const guestTokenSeconds = 24 * 3_600;

export const sessionLife = {
  /** A person who comes back within a month stays logged in. */
  days: 30,
  /** And logs in anew once a year, however often they come. */
  mostDays: 365,
} as const;

/** More devices than one person has. Whoever logs in beyond it ends the session that was not used for the longest time. */
export const maximumSessions = 50;

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
}

/** `stolen`: the token was used before, so two have it, and neither can be told from the thief. */
export type RefreshDecision = "renew" | "refuse" | "stolen";

/** @param now Database time, RFC 3339. */
export function decideRefresh(presented: PresentedToken | undefined, now: string): RefreshDecision {
  if (presented === undefined) return "refuse";
  if (presented.usedAt !== null) return "stolen";
  return presented.expiresAt > now ? "renew" : "refuse";
}

// Browser and system stand in front; what follows are versions, by which a person could be told from others.
const userAgentCharacters = 120;

/** What a browser or program calls itself, as its owner will recognise it in a list. */
export function shortUserAgent(header: string | undefined): string | null {
  const words = (header ?? "").replaceAll(/[^\x21-\x7e]+/g, " ").trim();
  return words === "" ? null : words.slice(0, userAgentCharacters);
}
