import { accountRegistered } from "@onsale/contracts/accounts";
import type { BuyerId } from "@onsale/contracts/ids";
import { type Cause, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { normalizeEmail } from "./account.ts";
import { busy, hashPassword } from "./password.ts";
import type { AccountsPorts } from "./ports.ts";
import type { AccountRole } from "./role.ts";
import { findLogIn, insertAccount } from "./store/account.ts";
import { telemetry } from "./telemetry.ts";

export interface Registration {
  readonly email: string;
  readonly password: string;
  readonly name: string;
  readonly role: AccountRole;
}

export interface NewAccount {
  readonly accountId: BuyerId;
  readonly role: AccountRole;
}

export type Registered<Also> =
  | { readonly kind: "registered"; readonly accountId: BuyerId; readonly also: Also }
  | { readonly kind: "email-taken" }
  | { readonly kind: "busy" };

/** Makes an account, unless there is one with this address, and does in the same transaction what belongs to it. */
export async function registerAccount<Also = void>(
  { database, ports }: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  { email, password, name, role }: Registration,
  cause: Cause,
  alsoDo: (tx: Transaction, account: NewAccount) => Promise<Also>,
): Promise<Registered<Also>> {
  const address = normalizeEmail(email);
  // Asked before the password is hashed, which costs more than everything else here together.
  if (await findLogIn(database, address)) return { kind: "email-taken" };
  const passwordHash = await hashPassword(password);
  if (passwordHash === busy) return { kind: "busy" };

  const accountId = ports.ids.uuid();
  const made = await database.transaction(async (tx) => {
    if (!(await insertAccount(tx, { accountId, email: address, passwordHash, name, role }))) return undefined;
    await publish(tx, [fact(accountRegistered, { data: { accountId, role }, sequence: 1, cause })]);
    return { also: await alsoDo(tx, { accountId, role }) };
  });
  if (made === undefined) return { kind: "email-taken" };
  telemetry.accountRegistered();
  return { kind: "registered", accountId, ...made };
}
