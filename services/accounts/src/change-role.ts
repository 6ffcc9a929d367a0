import { accountRoleChanged } from "@onsale/contracts/accounts";
import type { BuyerId } from "@onsale/contracts/ids";
import { type Cause, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { isConfigured } from "./configured-account.ts";
import type { AccountsPorts } from "./ports.ts";
import { type AccountRole, decideRole } from "./role.ts";
import { lockAccount, lockAdmins, readAccount, setRole } from "./store/account.ts";
import { insertRoleChange, type RoleChange } from "./store/role-change.ts";
import { telemetry } from "./telemetry.ts";

export type RoleChanged = "changed" | "not-allowed" | "not-found" | "last-admin" | "configured";

/**
 * Gives an account another role. Whoever asks is looked up and not believed: their token may be older than the end of
 * their own role.
 */
export async function changeRole(
  { database, ports }: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  {
    accountId,
    role,
    changedBy,
  }: { readonly accountId: BuyerId; readonly role: AccountRole; readonly changedBy: BuyerId },
  cause: Cause,
): Promise<RoleChanged> {
  return await database.transaction(async (tx) => {
    const admins = await lockAdmins(tx);
    if ((await readAccount(tx, changedBy))?.role !== "admin") return "not-allowed";
    const account = await lockAccount(tx, accountId);
    if (account === undefined || account.erasedAt !== null) return "not-found";
    const decision = decideRole({ before: account.role, after: role, admins: admins.length });
    switch (decision) {
      case "unchanged":
        return "changed";
      case "last-admin":
        return "last-admin";
      case "change":
        if (role !== "admin" && isConfigured(ports, account.email)) return "configured";
        await recordRole(tx, { accountId, roleBefore: account.role, role, changedBy }, cause);
        return "changed";
      default:
        return decision satisfies never;
    }
  });
}

/** Stores and tells another role of an account whose row is locked. */
export async function recordRole(tx: Transaction, change: RoleChange, cause: Cause): Promise<void> {
  const { accountId, role } = change;
  const sequence = await setRole(tx, accountId, role);
  await insertRoleChange(tx, change);
  await publish(tx, [fact(accountRoleChanged, { data: { accountId, role }, sequence, cause })]);
  tx.afterCommit(() => telemetry.roleChanged({ role }));
}
