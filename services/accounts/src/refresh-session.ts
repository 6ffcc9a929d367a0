import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { type TokenPair, tokenPair } from "./log-in.ts";
import type { AccountsPorts } from "./ports.ts";
import { decideRefresh, hashRefreshToken, newRefreshToken, refreshTokenDays } from "./session.ts";
import type { AccountRole } from "./store/account.ts";
import { endSession, insertRefreshToken, lockRefreshToken, markUsed } from "./store/session.ts";
import { telemetry } from "./telemetry.ts";

interface Renewal {
  readonly accountId: string;
  readonly role: AccountRole;
  readonly refreshToken: string;
}

/** Exchanges a refresh token for a new pair, once. Undefined when it is refused; one that was used before ends its session. */
export async function refreshSession(
  { database, ports }: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  refreshToken: string,
): Promise<TokenPair | undefined> {
  // A value and not a throw: the end of a stolen session must commit.
  const renewal = await database.transaction((tx) => renew(tx, hashRefreshToken(refreshToken)));
  if (renewal === undefined) return undefined;
  telemetry.sessionRenewed();
  return await tokenPair(ports.tokens, renewal, renewal.refreshToken);
}

async function renew(tx: Transaction, tokenHash: Buffer): Promise<Renewal | undefined> {
  const presented = await lockRefreshToken(tx, tokenHash);
  if (presented === undefined) return undefined;
  const decision = decideRefresh(presented, presented.now);
  switch (decision) {
    case "refuse":
      return undefined;
    case "stolen":
      await endSession(tx, presented.sessionId);
      telemetry.refreshTokenReused();
      return undefined;
    case "renew": {
      const next = newRefreshToken();
      await markUsed(tx, tokenHash);
      await insertRefreshToken(tx, {
        tokenHash: next.tokenHash,
        sessionId: presented.sessionId,
        days: refreshTokenDays,
      });
      return { accountId: presented.accountId, role: presented.role, refreshToken: next.token };
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
  await database.transaction(async (tx) => {
    const presented = await lockRefreshToken(tx, hashRefreshToken(refreshToken));
    if (presented !== undefined) await endSession(tx, presented.sessionId);
  });
}
