import type { Cause } from "@onsale/messaging";
import type { ServiceContext } from "@onsale/runtime";
import { normalizeEmail } from "./account.ts";
import { checkPassword, usedUp } from "./check-password.ts";
import { isConfigured } from "./configured-account.ts";
import { openSession, type TokenPair, tokenPair } from "./log-in.ts";
import type { Limited, Outcome } from "./outcome.ts";
import type { AccountsPorts } from "./ports.ts";
import { registerAccount } from "./register-account.ts";
import { findLogIn } from "./store/account.ts";

type Context = Pick<ServiceContext<AccountsPorts>, "database" | "ports">;

/** Somebody who wants an account. */
export interface Newcomer {
  readonly email: string;
  readonly password: string;
  readonly name: string;
}

export interface Came {
  /** Where the request came from. */
  readonly address: string;
  readonly userAgent: string | null;
  readonly cause: Cause;
}

export type NotSignedUp = Outcome<"email-taken" | "busy"> | Limited;

export type SignedUp =
  | { readonly kind: "signed-up"; readonly accountId: string; readonly tokens: TokenPair }
  | NotSignedUp;

/** Makes a customer's account and logs in: whoever has just chosen a password need not prove it, which would hash it once more. */
export async function signUp(context: Context, person: Newcomer, came: Came): Promise<SignedUp> {
  const refusal = await whyRefused(context, person, came.address);
  if (refusal) return refusal;
  const { ids, tokens } = context.ports;
  const registered = await registerAccount(context, { ...person, role: "customer" }, came.cause, (tx, account) =>
    openSession(tx, { ...account, sessionId: ids.uuid(), userAgent: came.userAgent }),
  );
  if (registered.kind !== "registered") return registered;
  const { accountId, also: session } = registered;
  return { kind: "signed-up", accountId, tokens: await tokenPair(tokens, session) };
}

/**
 * That an address is taken has to be said, and is counted: a wrong password beside it is a try like any at the log-in, for
 * the account and for the place, and a place whose tries are used up registers nobody. The right one is its owner who forgot.
 * Both come after one password's work, as a new account does.
 */
async function whyRefused(
  context: Context,
  { email, password }: Newcomer,
  address: string,
): Promise<NotSignedUp | undefined> {
  const attempt = { email: normalizeEmail(email), address };
  const limited = await usedUp(context, attempt);
  if (limited) return limited;
  const account = await findLogIn(context.database, attempt.email);
  // Whoever registered the operator's address first would own the account that the operator's rights go to.
  if (account === undefined && !isConfigured(context.ports, attempt.email)) return undefined;
  const checked = await checkPassword(context, { ...attempt, password, passwordHash: account?.passwordHash });
  return checked.kind === "busy" || checked.kind === "limited" ? checked : { kind: "email-taken" };
}
