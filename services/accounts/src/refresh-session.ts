import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { type OpenSession, type TokenPair, tokenPair } from "./log-in.ts";
import type { AccountsPorts } from "./ports.ts";
import { decideRefresh, hashRefreshToken, newRefreshToken, sessionLife } from "./session.ts";
import {
  endSession,
  endSessionOfToken,
  insertRefreshToken,
  lockRefreshToken,
  markUsed,
  prolongSession,
} from "./store/session.ts";
import { telemetry } from "./telemetry.ts";

/** Exchanges a refresh token for a new pair, once. Undefined when it is refused; one that was used before ends its session. */
export async function refreshSession(
  { database, ports }: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  refreshToken: string,
): Promise<TokenPair | undefined> {
  // A value and not a throw: the end of a stolen session must commit.
  const renewed = await database.transaction((tx) => renew(tx, hashRefreshToken(refreshToken)));
  if (renewed === undefined) return undefined;
  telemetry.sessionRenewed();
  return await tokenPair(ports.tokens, renewed);
}

async function renew(tx: Transaction, tokenHash: Buffer): Promise<OpenSession | undefined> {
  const presented = await lockRefreshToken(tx, tokenHash);
  if (presented === undefined) return undefined;
  const { accountId, role, sessionId } = presented;
  const decision = decideRefresh(presented, presented.now);
  switch (decision) {
    case "refuse":
      return undefined;
    case "stolen":
      await endSession(tx, sessionId);
      tx.afterCommit(() => telemetry.refreshTokenReused());
      return undefined;
    case "renew": {
      const next = newRefreshToken();
      await markUsed(tx, tokenHash);
      await prolongSession(tx, { sessionId, ...sessionLife });
      await insertRefreshToken(tx, next.tokenHash, sessionId);
      return { accountId, role, sessionId, refreshToken: next.token };
    }
    default:
      return decision satisfies never;
  }
}

/** Ends the session that a refresh token belongs to. A token that is unknown or of no use any more is no fault. */
export async function logOut(
  { database }: Pick<ServiceContext<AccountsPorts>, "database">,
  refreshToken: string,
): Promise<void> {
  await endSessionOfToken(database, hashRefreshToken(refreshToken));
}
