import type { ServiceContext } from "@onsale/runtime";
import { normalizeEmail } from "./account.ts";
import { type Attempt, keysOf } from "./attempt.ts";
import { renewPassword } from "./change-password.ts";
import type { Limited, Outcome } from "./outcome.ts";
import { busy, hashPassword } from "./password.ts";
import type { AccountsPorts } from "./ports.ts";
import { readLink } from "./reset-link.ts";
import { lockAccount } from "./store/account.ts";
import { forgive, rememberPlace, spendTry } from "./store/attempt.ts";
import { findLink, insertRequest, useLink } from "./store/reset.ts";
import { telemetry } from "./telemetry.ts";

type Context = Pick<ServiceContext<AccountsPorts>, "database" | "ports">;

/**
 * Takes down that somebody asks for a link to set a new password. Whether the address has an account is not looked at
 * here, so neither the answer nor its time can tell.
 */
export async function askForLink(
  { database, ports }: Context,
  { email, address }: Attempt,
): Promise<Outcome<"asked"> | Limited> {
  const asked = { email: normalizeEmail(email), address };
  const untilFree = await spendTry(database, "asking", keysOf(ports.secret, asked).asking);
  if (untilFree > 0) return { kind: "limited", retryAfterSeconds: untilFree };
  await insertRequest(database, asked.email);
  telemetry.linkAskedFor();
  return { kind: "asked" };
}

/** Sets a new password by a link, once. Every session ends: whoever had the old password is out. */
export async function resetPassword(
  { database, ports }: Context,
  { token, newPassword, address }: { readonly token: string; readonly newPassword: string; readonly address: string },
): Promise<Outcome<"reset" | "refused" | "busy">> {
  const link = readLink(ports.secret, token);
  // Looked at before the password is hashed, which costs more than everything else here together.
  const owner = link && (await findLink(database, link.resetId));
  if (link === undefined || owner === undefined) return { kind: "refused" };
  const passwordHash = await hashPassword(newPassword);
  if (passwordHash === busy) return { kind: "busy" };
  const { accountId, email } = owner;
  return await database.transaction(async (tx) => {
    await lockAccount(tx, accountId);
    if (!(await useLink(tx, link.resetId))) return { kind: "refused" };
    await renewPassword(tx, { accountId, passwordHash, keptSession: null });
    // Whoever reads the account's mail is let in from here, whatever strangers tried meanwhile.
    const { place, placeAndAccount } = keysOf(ports.secret, { email, address });
    await rememberPlace(tx, accountId, place);
    await forgive(tx, placeAndAccount);
    return { kind: "reset" };
  });
}
