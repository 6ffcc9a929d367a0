import { accountRegistered } from "@onsale/contracts/accounts";
import type { BuyerId } from "@onsale/contracts/ids";
import { type Cause, fact, publish } from "@onsale/messaging";
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

export type Registered =
  | { readonly kind: "registered"; readonly accountId: BuyerId }
  | { readonly kind: "email-taken" }
  | { readonly kind: "busy" };

/** Makes an account, unless there is one with this address. */
export async function registerAccount(
  { database, ports }: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  { email, password, name, role }: Registration,
  cause: Cause,
): Promise<Registered> {
  const address = normalizeEmail(email);
  // Asked before the password is hashed, which costs more than everything else here together.
  if (await findLogIn(database, address)) return { kind: "email-taken" };
  const passwordHash = await hashPassword(password);
  if (passwordHash === busy) return { kind: "busy" };

  const accountId = ports.ids.uuid();
  const isNew = await database.transaction(async (tx) => {
    const inserted = await insertAccount(tx, { accountId, email: address, passwordHash, name, role });
    if (inserted) await publish(tx, [fact(accountRegistered, { data: { accountId, role }, sequence: 1, cause })]);
    return inserted;
  });
  if (!isNew) return { kind: "email-taken" };
  telemetry.accountRegistered();
  return { kind: "registered", accountId };
}
