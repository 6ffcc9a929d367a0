import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";

/** A sale was recorded: of one type, whether a person makes it at a checkout or an import brings a million. */
export const saleRecorded = defineEvent("sale.recorded.v1", {
  key: "sale",
  lanes: { online: true, bulk: true },
  schema: Type.Object({
    sale: Type.String({ minLength: 1, maxLength: 100 }),
    /** When an online sale was to be made, in milliseconds since 1970; absent for an imported one. */
    dueAtMs: Type.Optional(Type.Number({ minimum: 0 })),
    note: Type.String({ maxLength: 200 }),
  }),
  sample: { sale: "online-7", dueAtMs: 1_795_248_000_000, note: "two tickets, row 4" },
});
