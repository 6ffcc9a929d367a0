/** The words of the accounts service. Events carry the person's id and nothing else about the person. */

import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";
import { BuyerId } from "./ids.ts";

/** What somebody who holds a token may do. A guest is a buyer without an account. */
export const Role = Type.Union([Type.Literal("guest"), Type.Literal("customer"), Type.Literal("operator")]);

/** A person has an account now. */
export const accountRegistered = defineEvent("account.registered.v1", {
  key: "accountId",
  lanes: { online: true },
  schema: Type.Object({ accountId: BuyerId, role: Role }),
  sample: { accountId: "0192f0c1-0000-7000-8000-000000000002", role: "customer" },
});
