import type { Database } from "@onsale/postgres";
import { reopenBulk } from "./store/bulk-message.ts";
import { readMessageStatus, resendMessage } from "./store/message.ts";

/** Has a dead message sent again. A bulk message that it belongs to goes on for it. */
export const resend = (database: Database, messageId: string): Promise<"resent" | "not-dead" | "unknown"> =>
  database.transaction(async (tx) => {
    const resent = await resendMessage(tx, messageId);
    if (resent === undefined) return (await readMessageStatus(tx, messageId)) === undefined ? "unknown" : "not-dead";
    if (resent.kind === "news") await reopenBulk(tx, resent.about);
    return "resent";
  });
