import { accountErased } from "@onsale/contracts/accounts";
import { type Cause, fact, publish } from "@onsale/messaging";
import type { ServiceContext } from "@onsale/runtime";
import { type Confirmed, confirmPassword, type NotConfirmed } from "./change-password.ts";
import type { Outcome } from "./outcome.ts";
import type { AccountsPorts } from "./ports.ts";
import { decideRole } from "./role.ts";
import { eraseAccount, lockAccount, lockAdmins, readListed } from "./store/account.ts";
import { deleteAddresses } from "./store/address.ts";
import { forgetPlaces } from "./store/attempt.ts";
import { removeLink } from "./store/reset.ts";
import { endSessions } from "./store/session.ts";
import { telemetry } from "./telemetry.ts";

/**
 * Forgets a person who asks for it and knows the password; asked again, it is done already. What is left is the bare id,
 * which leads nowhere, so that orders and ledgers stay whole. The address can be registered anew, as somebody else.
 */
export async function eraseOwnAccount(
  context: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  person: Confirmed,
  cause: Cause,
): Promise<Outcome<"erased" | "last-admin"> | NotConfirmed> {
  const { accountId } = person;
  const { database } = context;
  const confirmed = await confirmPassword(context, person);
  if (confirmed.kind === "not-found") {
    const before = await readListed(database, accountId);
    return { kind: before?.erasedAt ? "erased" : "not-found" };
  }
  if (confirmed.kind !== "fits") return confirmed;
  return await database.transaction(async (tx) => {
    const admins = await lockAdmins(tx);
    const account = await lockAccount(tx, accountId);
    if (account?.erasedAt) return { kind: "erased" };
    if (account?.passwordHash !== confirmed.passwordHash) return { kind: "wrong" };
    const decision = decideRole({ before: account.role, after: "customer", admins: admins.length });
    if (decision === "last-admin") return { kind: "last-admin" };
    await endSessions(tx, accountId, null);
    await deleteAddresses(tx, accountId);
    await removeLink(tx, accountId);
    await forgetPlaces(tx, accountId);
    await eraseAccount(tx, accountId);
    await publish(tx, [fact(accountErased, { data: { accountId }, sequence: account.version + 1, cause })]);
    tx.afterCommit(() => telemetry.accountErased());
    return { kind: "erased" };
  });
}
