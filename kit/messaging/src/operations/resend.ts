/** Gives one reader an event once more that lies in an outbox: through the parking, in its place among its key's events. */

import { bigint, sql, type Transaction, text } from "@onsale/postgres";
import { putBack } from "../consumers/parking.ts";
import type { Reader } from "../consumers/readers.ts";
import { aggregateOf, type Delivered } from "../events/event.ts";
import { isKeepable } from "../events/storable.ts";
import type { By } from "./dead-letters.ts";
import { logOperation } from "./operation-log.ts";
import { asMode, type RedriveMode } from "./redrive.ts";
import { type Refusal, refused } from "./refusal.ts";

export interface Resend extends By {
  readonly event: Delivered;
  readonly reader: Reader;
  readonly mode: RedriveMode;
  /** The reader had the event: its effects may happen a second time, behind those of later events. */
  readonly evenThoughApplied: boolean;
}

export type Resent =
  | { readonly kind: "resent"; readonly eventId: string; readonly blocked: boolean }
  | Refusal<"NOT_AN_EVENT" | "TYPE_NOT_HEARD" | "NOT_READ_YET" | "CONFIRMATION_NEEDED" | "ALREADY_WAITING">;

const seenSql = sql("messaging.last-seen", { takes: [text, text, text], gives: { sequence: bigint } })`
  select sequence from inbox where reader = $1 and aggregate = $2 and key = $3`;

const isDeadSql = sql("messaging.is-dead-letter", { takes: [text, text], gives: { eventId: text } })`
  select event_id as "eventId" from dead_letter where reader = $1 and event_id = $2`;

/**
 * Puts the event in the parking of the reader, who tries it at once. The inbox is passed by: it would ignore what it has
 * had, which is why an operator must say that a second effect is meant.
 */
export async function resendEvent(tx: Transaction, resend: Resend): Promise<Resent> {
  const { event, reader, mode, operator, reason } = resend;
  const refusal = await whyNot(tx, resend);
  if (refusal) return refusal;
  const again = asMode(event, mode);
  const place = await putBack(tx, reader.name, again);
  if (place === "there") return alreadyWaiting(resend);
  await logOperation(tx, {
    operation: `event.${mode}`,
    reader: reader.name,
    target: event.id,
    operator,
    reason,
    after: { eventId: again.id },
  });
  return { kind: "resent", eventId: again.id, blocked: place === "blocked" };
}

async function whyNot(tx: Transaction, resend: Resend) {
  const { event, reader, evenThoughApplied } = resend;
  if (!reader.hears.has(event.type)) return refused("TYPE_NOT_HEARD", `${reader.name} does not hear ${event.type}.`);
  if (!isKeepable(event))
    return refused(
      "NOT_AN_EVENT",
      `${event.id} can't be kept until its turn comes: it has a NUL, half of a character, or too many levels.`,
    );
  const [seen] = await tx.query(seenSql, [reader.name, aggregateOf(event.type), event.key]);
  if ((seen?.sequence ?? 0) < event.sequence)
    return refused("NOT_READ_YET", `${reader.name} has not come to event ${event.sequence} of ${event.key} yet.`);
  const [dead] = await tx.query(isDeadSql, [reader.name, event.id]);
  if (dead) return alreadyWaiting(resend);
  if (evenThoughApplied) return undefined;
  return refused(
    "CONFIRMATION_NEEDED",
    `${reader.name} has had events of ${event.key} up to ${seen?.sequence}; number ${event.sequence} would take effect once more, behind them.`,
  );
}

const alreadyWaiting = ({ event, reader }: Resend) =>
  refused("ALREADY_WAITING", `${event.id} waits at ${reader.name} already, or is a dead letter there.`);
