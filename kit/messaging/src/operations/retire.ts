/** Takes a reader that is gone for good off a source: from then on neither the outbox nor the write-ahead log keeps anything for it. */

import {
  array,
  as,
  bigint,
  boolean,
  composedSql,
  type Database,
  identifier,
  integer,
  nullable,
  sql,
  type Transaction,
  text,
  voids,
} from "@onsale/postgres";
import type { Lane } from "../events/event.ts";
import { dropSlot, slotNameOf } from "../wal/replication-slot.ts";
import type { By } from "./dead-letters.ts";
import { logOperation } from "./operation-log.ts";
import { type Refusal, refused } from "./refusal.ts";
import { streamNotFound, streamText } from "./streams.ts";

export interface Retirement extends By {
  readonly reader: string;
  readonly source: string;
  readonly dryRun: boolean;
}

/** What goes with one stream. */
export interface RetiredStream {
  readonly lane: Lane;
  readonly slot: number;
  /** Its replication slot, where it has one. */
  readonly replicationSlot: string | null;
}

export type RetireOutcome =
  | {
      readonly kind: "retired" | "would-be-retired";
      readonly streams: readonly RetiredStream[];
      /** Events that waited behind a failed one, and dead letters: given up together with who was to have them. */
      readonly waitingEvents: number;
      readonly deadLetters: number;
    }
  | Refusal<"STREAM_NOT_FOUND" | "READER_RUNS" | "SLOT_NOT_DROPPED">;

const streamsSql = sql("messaging.streams-to-retire", {
  takes: [text, text],
  gives: { lane: as<Lane>(text), slot: integer, slots: integer, owner: nullable(text), isOwned: boolean },
})`
  select lane, slot, slots, owner, owner is not null and lease_until > clock_timestamp() as "isOwned"
  from reader_cursor where reader = $1 and source = $2 order by lane desc, slot for update`;

const slotsSql = sql("messaging.replication-slots-among", { takes: [array(text)], gives: { name: text } })`
  select slot_name::text as name from pg_replication_slots where slot_name::text = any($1)`;

const leftSql = sql("messaging.left-of-reader", {
  takes: [text, text],
  gives: { waitingEvents: bigint, deadLetters: bigint },
})`
  select (select count(*) from parked_event as waiting join parked_key as parked using (reader, aggregate, key)
      where reader = $1 and parked.source = $2) as "waitingEvents",
    (select count(*) from dead_letter where reader = $1 and source = $2) as "deadLetters"`;

const giveUpEventsSql = sql("messaging.give-up-waiting-events", { takes: [text, text], gives: {} })`
  delete from parked_event as waiting using parked_key as parked
  where parked.reader = $1 and parked.source = $2
    and waiting.reader = parked.reader and waiting.aggregate = parked.aggregate and waiting.key = parked.key`;

const giveUpKeysSql = sql("messaging.give-up-parked-keys", { takes: [text, text], gives: {} })`
  delete from parked_key where reader = $1 and source = $2`;

const giveUpLettersSql = sql("messaging.give-up-dead-letters", { takes: [text, text], gives: {} })`
  delete from dead_letter where reader = $1 and source = $2`;

const forgetCursorsSql = sql("messaging.forget-cursors", { takes: [text, text], gives: {} })`
  delete from reader_cursor where reader = $1 and source = $2`;

const forgetReaderSql = (source: string) =>
  composedSql(`messaging.forget-reader-of-${source}`, {
    takes: [text, text],
    gives: { outbox_forget_reader: voids },
    text: `select ${identifier(source)}.outbox_forget_reader($1, $2)`,
  });

/**
 * Retires a reader that nobody runs any more, in its own service's database; with `dryRun` only tells what would go. What it
 * had stays remembered: one that begins again under its name has nothing twice.
 */
export async function retireReader(
  database: Database,
  tx: Transaction,
  { reader, source, dryRun, operator, reason }: Retirement,
): Promise<RetireOutcome> {
  // Locked: nobody takes a lease while it is being decided that nobody reads.
  const rows = await tx.query(streamsSql, [reader, source]);
  if (rows.length === 0) return streamNotFound({ reader, source });
  const owned = rows.find(({ isOwned }) => isOwned);
  if (owned) return refused("READER_RUNS", `${reader} is read by ${owned.owner}: only who is gone can be retired.`);
  const streams = await withReplicationSlots(database, tx, { reader, source, rows });
  const [left = { waitingEvents: 0, deadLetters: 0 }] = await tx.query(leftSql, [reader, source]);
  if (dryRun) return { kind: "would-be-retired", streams, ...left };
  for (const { replicationSlot } of streams) {
    const why = replicationSlot && (await whyNotDropped(database, replicationSlot));
    if (why) return refused("SLOT_NOT_DROPPED", why);
  }
  for (const statement of [giveUpEventsSql, giveUpKeysSql, giveUpLettersSql, forgetCursorsSql])
    await tx.execute(statement, [reader, source]);
  for (const { lane, slot, slots } of rows)
    await tx.execute(forgetReaderSql(source), [slots === 1 ? reader : `${reader}#${slot}`, lane]);
  const target = streamText({ reader, source });
  await logOperation(tx, {
    ...{ operation: "consumer.retire", reader, target, operator, reason },
    after: { streams, ...left },
  });
  return { kind: "retired", streams, ...left };
}

async function withReplicationSlots(
  database: Database,
  tx: Transaction,
  {
    reader,
    source,
    rows,
  }: { reader: string; source: string; rows: readonly { readonly lane: Lane; readonly slot: number }[] },
): Promise<RetiredStream[]> {
  const named = rows.map(({ lane, slot }) => ({
    ...{ lane, slot },
    replicationSlot: slotNameOf(database, { reader, source, lane, slot }),
  }));
  const found = await tx.query(slotsSql, [named.map(({ replicationSlot }) => replicationSlot)]);
  const there = new Set(found.map(({ name }) => name));
  return named.map(({ replicationSlot, ...stream }) => ({
    ...stream,
    replicationSlot: there.has(replicationSlot) ? replicationSlot : null,
  }));
}

/** Drops a slot; gives a sentence where that is refused. It need not be taken back with the transaction: whose slot is gone reads the table. */
async function whyNotDropped(database: Database, slot: string): Promise<string | undefined> {
  try {
    await dropSlot(database, slot);
    return undefined;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return `Its slot could not be dropped (${said}). A superuser can: select pg_drop_replication_slot('${slot}').`;
  }
}
