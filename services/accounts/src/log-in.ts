import type { BuyerId } from "@onsale/contracts/ids";
import type { TokenSigner } from "@onsale/http";
import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { normalizeEmail } from "./account.ts";
import { keysOf } from "./attempt.ts";
import { checkPassword } from "./check-password.ts";
import { isConfigured } from "./configured-account.ts";
import { ensureAdmin } from "./ensure-admin.ts";
import type { Limited, Outcome } from "./outcome.ts";
import type { AccountsPorts } from "./ports.ts";
import type { AccountRole } from "./role.ts";
import { accessTokenSeconds, maximumSessions, newRefreshToken, sessionLife } from "./session.ts";
import { findLogIn, lockAccount } from "./store/account.ts";
import { forgive, rememberPlace } from "./store/attempt.ts";
import { endOldestSessions, insertRefreshToken, insertSession } from "./store/session.ts";
import { telemetry } from "./telemetry.ts";

/** What a person who is logged in holds. */
export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Seconds until the access token expires. */
  readonly expiresIn: number;
}

export type LoggedIn =
  | { readonly kind: "logged-in"; readonly tokens: TokenPair }
  | Outcome<"wrong-credentials" | "busy">
  | Limited;

export interface LogIn {
  readonly email: string;
  readonly password: string;
  /** Where the request came from. */
  readonly address: string;
  readonly userAgent: string | null;
}

/** Begins a session. An address that nobody has is refused with the same words and after the same work as a wrong password. */
export async function logIn(
  context: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  { email, password, address, userAgent }: LogIn,
): Promise<LoggedIn> {
  const { database, ports } = context;
  const attempt = { email: normalizeEmail(email), address };
  // The configured operator may come before the job that makes the account.
  if (isConfigured(ports, attempt.email)) await ensureAdmin(context);
  const account = await findLogIn(database, attempt.email);
  const checked = await checkPassword(context, { ...attempt, password, passwordHash: account?.passwordHash });
  if (checked.kind === "busy" || checked.kind === "limited") return checked;
  const { place, placeAndAccount } = keysOf(ports.secret, attempt);
  const begun =
    checked.kind === "fits" &&
    account !== undefined &&
    (await database.transaction(async (tx) => {
      const it = await beginSession(tx, { ...account, sessionId: ports.ids.uuid(), userAgent });
      if (it === undefined) return undefined;
      await rememberPlace(tx, account.accountId, place);
      await forgive(tx, placeAndAccount);
      return it;
    }));
  if (!begun) {
    telemetry.logInRefused();
    return { kind: "wrong-credentials" };
  }
  telemetry.loggedIn();
  return { kind: "logged-in", tokens: await tokenPair(ports.tokens, begun) };
}

/** A session with its newest refresh token. */
export interface OpenSession {
  readonly accountId: BuyerId;
  readonly role: AccountRole;
  readonly sessionId: string;
  readonly refreshToken: string;
}

/** Undefined when the password that was compared is not the account's any more: it was changed meanwhile, and every session ended. */
async function beginSession(
  tx: Transaction,
  opened: { accountId: BuyerId; passwordHash: string; sessionId: string; userAgent: string | null },
): Promise<OpenSession | undefined> {
  const { accountId, passwordHash, sessionId, userAgent } = opened;
  const account = await lockAccount(tx, accountId);
  if (account?.passwordHash !== passwordHash) return undefined;
  await endOldestSessions(tx, accountId, maximumSessions - 1);
  return await openSession(tx, { accountId, role: account.role, sessionId, userAgent });
}

/** Of an account that is locked, or was just made. */
export async function openSession(
  tx: Transaction,
  { userAgent, ...session }: Omit<OpenSession, "refreshToken"> & { readonly userAgent: string | null },
): Promise<OpenSession> {
  const { sessionId, accountId } = session;
  const { token, tokenHash } = newRefreshToken();
  await insertSession(tx, { sessionId, accountId, userAgent, days: sessionLife.days });
  await insertRefreshToken(tx, tokenHash, sessionId);
  return { ...session, refreshToken: token };
}

/** The pair that goes to the client: a new access token beside the refresh token. */
export async function tokenPair(
  tokens: TokenSigner,
  { accountId, role, sessionId, refreshToken }: OpenSession,
): Promise<TokenPair> {
  const expiresIn = accessTokenSeconds(role);
  const accessToken = await tokens.sign({ id: accountId, role, sessionId }, expiresIn);
  return { accessToken, refreshToken, expiresIn };
}
