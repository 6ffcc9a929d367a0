import type { TokenSigner } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { normalizeEmail } from "./account.ts";
import { ensureOperator } from "./ensure-operator.ts";
import { busy, fitsPassword } from "./password.ts";
import type { AccountsPorts } from "./ports.ts";
import { accessTokenSeconds, newRefreshToken, refreshTokenDays } from "./session.ts";
import { type AccountRole, findLogIn } from "./store/account.ts";
import { insertRefreshToken, insertSession } from "./store/session.ts";
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
  | { readonly kind: "wrong-credentials" }
  | { readonly kind: "busy" };

/** Begins a session. An address that nobody has is refused with the same words and after the same work as a wrong password. */
export async function logIn(
  context: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  { email, password }: { readonly email: string; readonly password: string },
): Promise<LoggedIn> {
  const { database, ports } = context;
  const address = normalizeEmail(email);
  // The configured operator may come before the job that makes the account.
  if (ports.operator && address === normalizeEmail(ports.operator.email)) await ensureOperator(context);
  const account = await findLogIn(database, address);
  const fits = await fitsPassword(account?.passwordHash, password);
  if (fits === busy) return { kind: "busy" };
  if (!fits || account === undefined) {
    telemetry.logInRefused();
    return { kind: "wrong-credentials" };
  }

  const sessionId = ports.ids.uuid();
  const { token, tokenHash } = newRefreshToken();
  await database.transaction(async (tx) => {
    await insertSession(tx, sessionId, account.accountId);
    await insertRefreshToken(tx, { tokenHash, sessionId, days: refreshTokenDays });
  });
  telemetry.loggedIn();
  return { kind: "logged-in", tokens: await tokenPair(ports.tokens, account, token) };
}

/** The pair that goes to the client: a new access token beside the refresh token. */
export async function tokenPair(
  tokens: TokenSigner,
  { accountId, role }: { readonly accountId: string; readonly role: AccountRole },
  refreshToken: string,
): Promise<TokenPair> {
  const accessToken = await tokens.sign({ id: accountId, role }, accessTokenSeconds);
  return { accessToken, refreshToken, expiresIn: accessTokenSeconds };
}
