/** What an operator does with events whose last attempt failed: look at them by cause, edit them, drop them. */

import {
  bigint,
  boolean,
  instant,
  integer,
  json,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
} from "@onsale/postgres";
import { goOn, type KeyName, lockKey } from "../consumers/parking.ts";
import { type Delivered, type EventDefinition, whyUnfit } from "../events/event.ts";
import { isKeepable } from "../events/storable.ts";
import { maximumPayloadBytes } from "../outbox/publish.ts";
import { type JsonChange, jsonDifference } from "./json-difference.ts";
import { type LoggedOperation, logOperation, operationsOn } from "./operation-log.ts";
import { type Refusal, refused } from "./refusal.ts";

/** Letters that fit everything that is given. */
export interface LetterFilter {
  readonly reader?: string | undefined;
  readonly type?: string | undefined;
  readonly cause?: string | undefined;
  readonly key?: string | undefined;
}

/** Dead letters that failed for one cause. */
export interface LetterGroup {
  readonly reader: string;
  readonly type: string;
  readonly cause: string;
  readonly letters: number;
  /** Of these, those whose key waits behind them. */
  readonly blocking: number;
  readonly oldestDiedAt: string;
  readonly latestDiedAt: string;
  /** One of them, to begin looking with. */
  readonly example: string;
}

export interface LetterName {
  readonly reader: string;
  readonly eventId: string;
}

export interface Letter extends LetterName, KeyName {
  readonly sequence: number;
  readonly type: string;
  readonly source: string;
  /** Whether the rest of its key waits behind it. */
  readonly blocks: boolean;
  /** False for what is no event of ours, or can't be kept whole: it can be dropped and nothing else. */
  readonly readable: boolean;
  readonly error: string;
  readonly cause: string;
  readonly attempts: number;
  /** How often it was edited. */
  readonly revision: number;
  readonly diedAt: string;
}

export interface WholeLetter extends Letter {
  readonly event: Delivered;
  /** Events of its key that wait. */
  readonly waiting: number;
  readonly operations: LoggedOperation[];
}

/** Who does it, and why. */
export interface By {
  readonly operator: string;
  readonly reason?: string | undefined;
}

const letterColumns = {
  reader: text,
  eventId: text,
  aggregate: text,
  key: text,
  sequence: bigint,
  type: text,
  source: text,
  blocks: boolean,
  readable: boolean,
  error: text,
  cause: text,
  attempts: integer,
  revision: integer,
  diedAt: instant,
};
const filterColumns = [nullable(text), nullable(text), nullable(text), nullable(text)] as const;

const groupsSql = sql("messaging.dead-letter-groups", {
  takes: [...filterColumns, bigint],
  gives: {
    reader: text,
    type: text,
    cause: text,
    letters: bigint,
    blocking: bigint,
    oldestDiedAt: instant,
    latestDiedAt: instant,
    example: text,
  },
})`
  select reader, type, cause, count(*) as letters, count(*) filter (where blocks) as blocking,
    min(died_at) as "oldestDiedAt", max(died_at) as "latestDiedAt", min(event_id) as example
  from dead_letter
  where ($1::text is null or reader = $1) and ($2::text is null or type = $2) and ($3::text is null or cause = $3)
    and ($4::text is null or key = $4)
  group by reader, type, cause order by count(*) desc, reader, type, cause limit $5`;

const countSql = sql("messaging.count-dead-letters", { takes: filterColumns, gives: { letters: bigint } })`
  select count(*) as letters from dead_letter
  where readable and ($1::text is null or reader = $1) and ($2::text is null or type = $2)
    and ($3::text is null or cause = $3) and ($4::text is null or key = $4)`;

const listSql = sql("messaging.list-dead-letters", {
  takes: [...filterColumns, instant, text, text, bigint],
  gives: letterColumns,
})`
  select reader, event_id as "eventId", aggregate, key, sequence, type, source, blocks, readable, error, cause, attempts,
    revision, died_at as "diedAt"
  from dead_letter
  where ($1::text is null or reader = $1) and ($2::text is null or type = $2) and ($3::text is null or cause = $3)
    and ($4::text is null or key = $4) and (died_at, reader, event_id) > ($5, $6, $7)
  order by died_at, reader, event_id limit $8`;

const showSql = sql("messaging.show-dead-letter", {
  takes: [text, text],
  gives: { ...letterColumns, event: json<Delivered>(), waiting: bigint },
})`
  select letter.reader, event_id as "eventId", letter.aggregate, letter.key, letter.sequence, type, source, blocks, readable,
    error, cause, attempts, revision, died_at as "diedAt", letter.event,
    (select count(*) from parked_event as waiting
     where waiting.reader = letter.reader and waiting.aggregate = letter.aggregate and waiting.key = letter.key) as waiting
  from dead_letter as letter where letter.reader = $1 and event_id = $2`;

const lockSql = sql("messaging.lock-dead-letter", {
  takes: [text, text],
  gives: {
    aggregate: text,
    key: text,
    type: text,
    blocks: boolean,
    readable: boolean,
    revision: integer,
    event: json<Delivered>(),
  },
})`
  select aggregate, key, type, blocks, readable, revision, event from dead_letter where reader = $1 and event_id = $2 for update`;

const storeDataSql = sql("messaging.edit-dead-letter", { takes: [text, text, json<unknown>()], gives: {} })`
  update dead_letter set event = jsonb_set(event, '{data}', $3), revision = revision + 1 where reader = $1 and event_id = $2`;

const removeSql = sql("messaging.remove-dead-letter", { takes: [text, text], gives: {} })`
  delete from dead_letter where reader = $1 and event_id = $2`;

const parametersOf = ({ reader, type, cause, key }: LetterFilter) =>
  [reader ?? null, type ?? null, cause ?? null, key ?? null] as const;

/** Groups that are told at most: a screen of a console. The largest come first. */
const groupLimit = 200;

/** Dead letters by reader, type and cause, the largest group first. */
export const groupLetters = (queryable: Queryable, filter: LetterFilter = {}): Promise<LetterGroup[]> =>
  queryable.query(groupsSql, [...parametersOf(filter), groupLimit]);

/** How many letters a redrive of this filter would put back. */
export async function countLetters(queryable: Queryable, filter: LetterFilter): Promise<number> {
  const [row] = await queryable.query(countSql, parametersOf(filter));
  return row?.letters ?? 0;
}

/** Where a page of letters ended. */
export type LetterPlace = Pick<Letter, "diedAt" | "reader" | "eventId">;

const firstPlace: LetterPlace = { diedAt: "-infinity", reader: "", eventId: "" };

/** Letters behind `after`, the oldest first, at most `limit`. */
export const listLetters = (
  queryable: Queryable,
  filter: LetterFilter,
  { after = firstPlace, limit }: { after?: LetterPlace | undefined; limit: number },
): Promise<Letter[]> =>
  queryable.query(listSql, [...parametersOf(filter), after.diedAt, after.reader, after.eventId, limit]);

/** Lines of its history that are shown with a letter. */
const shownOperations = 20;

/** A letter whole; undefined when it isn't there. */
export async function showLetter(
  queryable: Queryable,
  { reader, eventId }: LetterName,
): Promise<WholeLetter | undefined> {
  const [letter] = await queryable.query(showSql, [reader, eventId]);
  return letter && { ...letter, operations: await operationsOn(queryable, eventId, shownOperations) };
}

/** A letter with its row locked; undefined when it isn't there. */
export async function lockLetter(tx: Transaction, { reader, eventId }: LetterName) {
  const [letter] = await tx.query(lockSql, [reader, eventId]);
  return letter;
}

/** Takes a locked letter away. */
export async function removeLetter(tx: Transaction, { reader, eventId }: LetterName): Promise<void> {
  await tx.execute(removeSql, [reader, eventId]);
}

export const letterNotFound = ({ reader, eventId }: LetterName) =>
  refused("LETTER_NOT_FOUND", `${reader} has no dead letter ${eventId}.`);

export const notAnEvent = ({ eventId }: LetterName) =>
  refused("NOT_AN_EVENT", `${eventId} is no event that can be applied: it can only be dropped.`);

export interface Edit extends LetterName, By {
  readonly data: unknown;
  /** The revision that the editor saw; absent: whatever is there. */
  readonly revision?: number | undefined;
  /** Nothing is stored. */
  readonly dryRun?: boolean | undefined;
}

export type Edited =
  | {
      readonly kind: "edited" | "would-be-edited" | "unchanged";
      readonly revision: number;
      readonly difference: JsonChange[];
    }
  | Refusal<
      "LETTER_NOT_FOUND" | "NOT_AN_EVENT" | "LETTER_CHANGED" | "TYPE_NOT_HEARD" | "PAYLOAD_DOES_NOT_FIT" | "KEY_CHANGED"
    >;

/**
 * Stores another payload in a letter, once it fits the schema by which its reader hears the type, and tells what differs.
 * The event keeps its id and its key. What it was before stands in the operation log.
 */
export async function editLetter(
  tx: Transaction,
  edit: Edit,
  definitionOf: (type: string) => EventDefinition | undefined,
): Promise<Edited> {
  const letter = await lockLetter(tx, edit);
  if (!letter) return letterNotFound(edit);
  if (!letter.readable) return notAnEvent(edit);
  const { event, revision } = letter;
  if (edit.revision !== undefined && edit.revision !== revision)
    return refused(
      "LETTER_CHANGED",
      `The letter was edited meanwhile: its revision is ${revision}, not ${edit.revision}.`,
    );
  const fault = refusalOf(definitionOf(letter.type), event, edit.data);
  if (fault) return fault;
  const difference = jsonDifference(event.data, edit.data);
  if (difference.length === 0) return { kind: "unchanged", revision, difference };
  if (edit.dryRun === true) return { kind: "would-be-edited", revision, difference };
  await tx.execute(storeDataSql, [edit.reader, edit.eventId, edit.data]);
  await log(tx, "dead-letter.edit", edit, { before: event.data, after: edit.data });
  return { kind: "edited", revision: revision + 1, difference };
}

function refusalOf(definition: EventDefinition | undefined, event: Delivered, data: unknown) {
  const { type, key } = event;
  if (!definition)
    return refused("TYPE_NOT_HEARD", `Nobody here hears ${type} any more, so its payload can't be checked.`);
  const why = whyUnfit(definition.validator, data);
  if (why !== undefined) return refused("PAYLOAD_DOES_NOT_FIT", `It does not fit the schema of ${type}: ${why}.`);
  if (!isKeepable({ ...event, data }))
    return refused("PAYLOAD_DOES_NOT_FIT", "It has a NUL, half of a character, or too many levels to be stored.");
  const bytes = Buffer.byteLength(JSON.stringify(data));
  if (bytes > maximumPayloadBytes)
    return refused("PAYLOAD_DOES_NOT_FIT", `It has ${bytes} bytes; ${maximumPayloadBytes} are allowed.`);
  const keyThere = (data as Readonly<Record<string, unknown>>)[definition.key];
  if (keyThere !== key)
    return refused("KEY_CHANGED", `Its key ${definition.key} is ${key} and stays so: other events wait for that key.`);
  return undefined;
}

export type Dropped = { readonly kind: "dropped"; readonly freed: boolean } | Refusal<"LETTER_NOT_FOUND">;

/**
 * Gives a letter up: the event will not be applied, and what waits behind it goes on. The whole event stands in the
 * operation log. `freed`: nothing of its key waits any more.
 */
export async function dropLetter(tx: Transaction, drop: LetterName & By): Promise<Dropped> {
  const letter = await lockLetter(tx, drop);
  if (!letter) return letterNotFound(drop);
  const state = await lockKey(tx, drop.reader, letter);
  await removeLetter(tx, drop);
  const goesOn = letter.blocks && state === "dead";
  const freed = goesOn ? await goOn(tx, [drop.reader, letter.aggregate, letter.key]) : state === undefined;
  await log(tx, "dead-letter.drop", drop, { before: letter.event });
  return { kind: "dropped", freed };
}

const log = (
  tx: Transaction,
  operation: string,
  { reader, eventId, operator, reason }: LetterName & By,
  difference: { before?: unknown; after?: unknown },
): Promise<void> => logOperation(tx, { operation, reader, target: eventId, operator, reason, ...difference });
