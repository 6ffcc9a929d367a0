import type { BuyerId } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { checkPassword } from "./check-password.ts";
import { isConfigured } from "./configured-account.ts";
import type { Limited, Outcome } from "./outcome.ts";
import { busy, hashPassword } from "./password.ts";
import type { AccountsPorts } from "./ports.ts";
import { findLogIn, lockAccount, readAccount, setPassword } from "./store/account.ts";
import { removeLink } from "./store/reset.ts";
import { endSessions } from "./store/session.ts";
import { telemetry } from "./telemetry.ts";

type Context = Pick<ServiceContext<AccountsPorts>, "database" | "ports">;

/** Why somebody who holds a token did not confirm that the account is theirs. */
export type NotConfirmed = Outcome<"wrong" | "busy" | "not-found" | "configured"> | Limited;

/** A person who is logged in and says their password once more. */
export interface Confirmed {
  readonly accountId: BuyerId;
  readonly password: string;
  /** Where the request came from. */
  readonly address: string;
}

/** Changes the password of a person who knows it, and ends all their other sessions. */
export async function changePassword(
  context: Context,
  {
    newPassword,
    sessionId,
    ...person
  }: Confirmed & { readonly newPassword: string; readonly sessionId: string | null },
): Promise<Outcome<"changed"> | NotConfirmed> {
  const confirmed = await confirmPassword(context, person);
  if (confirmed.kind !== "fits") return confirmed;
  const newHash = await hashPassword(newPassword);
  if (newHash === busy) return { kind: "busy" };
  return await context.database.transaction(async (tx) => {
    const account = await lockAccount(tx, person.accountId);
    // Somebody changed it while we compared: what was confirmed is not the password any more.
    if (account?.passwordHash !== confirmed.passwordHash) return { kind: "wrong" };
    await renewPassword(tx, { accountId: person.accountId, passwordHash: newHash, keptSession: sessionId });
    return { kind: "changed" };
  });
}

/** Stores another password of an account whose row is locked. Whoever came in with the old one, or asked for a link, is out. */
export async function renewPassword(
  tx: Transaction,
  renewed: { readonly accountId: BuyerId; readonly passwordHash: string; readonly keptSession: string | null },
): Promise<void> {
  const { accountId, passwordHash, keptSession } = renewed;
  await setPassword(tx, accountId, passwordHash);
  await removeLink(tx, accountId);
  await endSessions(tx, accountId, keptSession);
  tx.afterCommit(() => telemetry.passwordChanged());
}

/**
 * Whether somebody who holds a token of the account knows its password, too. What was compared stands in the answer:
 * whoever acts on it looks under the lock whether it still is the password.
 */
export async function confirmPassword(
  context: Context,
  { accountId, password, address }: Confirmed,
): Promise<{ readonly kind: "fits"; readonly passwordHash: string } | NotConfirmed> {
  const { database, ports } = context;
  const email = (await readAccount(database, accountId))?.email;
  if (email === undefined) return { kind: "not-found" };
  if (isConfigured(ports, email)) return { kind: "configured" };
  const passwordHash = (await findLogIn(database, email))?.passwordHash;
  const checked = await checkPassword(context, { email, address, password, passwordHash });
  if (checked.kind !== "fits") return checked;
  return passwordHash === undefined ? { kind: "wrong" } : { kind: "fits", passwordHash };
}
