/** The words of the accounts service. Events carry the person's id and nothing else about the person. */

import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";
import { BuyerId } from "./ids.ts";

/**
 * What somebody who holds a token may do. A guest is a buyer without an account; operators run the shop; admins say who
 * does, and may do all that operators may.
 */
export const Role = Type.Union([
  Type.Literal("guest"),
  Type.Literal("customer"),
  Type.Literal("operator"),
  Type.Literal("admin"),
]);

/** A person has an account now. */
export const accountRegistered = defineEvent("account.registered.v1", {
  key: "accountId",
  lanes: { online: true },
  schema: Type.Object({ accountId: BuyerId, role: Role }),
  sample: { accountId: "0192f0c1-0000-7000-8000-000000000002", role: "customer" },
});

/**
 * An account has another role. Tokens carry the role, so who hears this need not act: the old one is felt until the last
 * token with it has expired.
 */
export const accountRoleChanged = defineEvent("account.role-changed.v1", {
  key: "accountId",
  lanes: { online: true },
  schema: Type.Object({ accountId: BuyerId, role: Role }),
  sample: { accountId: "0192f0c1-0000-7000-8000-000000000002", role: "operator" },
});

/**
 * The person wants to be forgotten: whoever keeps more of them than the bare id removes it. Orders and ledgers keep the id,
 * which leads nowhere any more. Nobody acts under it again, once the last access token has expired.
 */
export const accountErased = defineEvent("account.erased.v1", {
  key: "accountId",
  lanes: { online: true },
  schema: Type.Object({ accountId: BuyerId }),
  sample: { accountId: "0192f0c1-0000-7000-8000-000000000002" },
});
