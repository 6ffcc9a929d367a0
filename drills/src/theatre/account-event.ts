import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";

/** A key was changed: what every drill publishes. */
export const accountChanged = defineEvent("account.changed.v1", {
  key: "account",
  lanes: { online: true, bulk: true },
  schema: Type.Object({
    account: Type.String({ minLength: 1, maxLength: 100 }),
    /** Names the attempt at this change. */
    token: Type.String({ format: "uuid" }),
    /** The round of the drill that it belongs to. */
    round: Type.Integer({ minimum: 0 }),
    /** The first attempt at acting on it fails, in every process anew. */
    stumbles: Type.Boolean(),
    /** The first call for it outlives the process that makes it. */
    lingers: Type.Boolean(),
  }),
  sample: {
    account: "account-7",
    token: "6f1c1f8e-52a4-4a3e-9c39-1f6f5f6f2b11",
    round: 1,
    stumbles: false,
    lingers: false,
  },
});
