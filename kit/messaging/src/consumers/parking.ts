/**
 * The key is parked, not the message: when an event fails for good reasons of its own, it and every later event of its key
 * wait here in their order, and all other keys flow. After the last attempt the head becomes a dead letter; the rest of
 * its key waits behind it or flows on, as its type says. Whoever parks, tries, redrives or drops locks the key's row first.
 */

import {
  array,
  bigint,
  boolean,
  type Database,
  double,
  instant,
  integer,
  json,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import { aggregateOf, type Delivered, type WhenDead } from "../events/event.ts";
import { isKeepable, likeness } from "../events/storable.ts";
import type { FeedName } from "../telemetry.ts";
import { causeOf, describeError } from "./cause.ts";
import { inboxKey, type PassedOver } from "./inbox.ts";
import { FencedError } from "./progress.ts";

/** Attempts at a key's head before a person is needed, and the wait before the second; it doubles, with jitter. */
export interface RetryRule {
  readonly attempts: number;
  readonly firstDelayMs: number;
}
export const defaultRetry: RetryRule = { attempts: 3, firstDelayMs: 1_000 };

/** What is to become of an event that failed. */
export interface ParkingRule {
  readonly retry: RetryRule;
  /** No further attempt can help. */
  readonly dead: boolean;
  readonly whenDead: WhenDead;
}

/** Events that wait behind one key at most. At the bound the feed pauses, rather than let one key fill the disk. */
export const waitingBound = 10_000;

/** A key among all aggregates. */
export interface KeyName {
  readonly aggregate: string;
  readonly key: string;
}

/** One try at a parked key's head. It was counted before it began, so that a crash in it counts, too. */
export interface Attempt extends KeyName {
  readonly id: string;
  readonly event: Delivered;
  readonly number: number;
  /** The database's time, RFC 3339. */
  readonly now: string;
}

const keyColumns = [text, text, text] as const;

const isAnyParkedSql = sql("messaging.is-any-parked", { takes: [text], gives: { isAny: boolean } })`
  select exists (select from parked_key where reader = $1) as "isAny"`;

const lockParkedSql = sql("messaging.lock-parked", {
  takes: [text, array(text), array(text)],
  gives: { aggregate: text, key: text },
})`
  select parked.aggregate, parked.key
  from unnest($2::text[], $3::text[]) as event(aggregate, key)
  join parked_key as parked on parked.reader = $1 and parked.aggregate = event.aggregate and parked.key = event.key
  for update of parked`;

const parkKeySql = sql("messaging.park-key", {
  takes: [...keyColumns, text, integer, double, text],
  gives: {},
})`
  insert into parked_key (reader, aggregate, key, source, state, attempts, next_attempt_at, error)
  values ($1, $2, $3, $4, 'waiting', $5, clock_timestamp() + $6 * interval '1 millisecond', $7)
  on conflict (reader, aggregate, key) do nothing`;

const parkEventsSql = sql("messaging.park-events", {
  takes: [text, array(text), array(text), array(bigint), array(json<Delivered>())],
  gives: {},
})`
  insert into parked_event (reader, aggregate, key, sequence, event)
  select $1, aggregate, key, sequence, event from unnest($2::text[], $3::text[], $4::bigint[], $5::jsonb[]) as waiting(aggregate, key, sequence, event)
  on conflict (reader, aggregate, key, sequence) do nothing`;

const countWaitingSql = sql("messaging.count-waiting", {
  takes: [text, array(text), array(text), bigint],
  gives: { aggregate: text, key: text },
})`
  select aggregate, key from unnest($2::text[], $3::text[]) as parked(aggregate, key)
  where (select count(*) from parked_event as waiting
         where waiting.reader = $1 and waiting.aggregate = parked.aggregate and waiting.key = parked.key) > $4`;

const dueKeysSql = sql("messaging.due-parked-keys", {
  takes: [text, text, bigint],
  gives: { aggregate: text, key: text },
})`
  select aggregate, key from parked_key
  where reader = $1 and state = 'waiting' and source = $2 and next_attempt_at <= clock_timestamp() order by next_attempt_at limit $3`;

const beginAttemptSql = sql("messaging.begin-attempt", {
  takes: [...keyColumns, double],
  gives: { id: uuid, attempts: integer, now: instant },
})`
  update parked_key
  set attempt = gen_random_uuid(), attempts = attempts + 1, next_attempt_at = clock_timestamp() + $4 * interval '1 millisecond'
  where reader = $1 and aggregate = $2 and key = $3 and state = 'waiting' and next_attempt_at <= clock_timestamp()
  returning attempt as id, attempts, clock_timestamp() as now`;

const holdAttemptSql = sql("messaging.hold-attempt", { takes: [...keyColumns, uuid, double], gives: {} })`
  update parked_key set next_attempt_at = clock_timestamp() + $5 * interval '1 millisecond'
  where reader = $1 and aggregate = $2 and key = $3 and attempt = $4`;

const headSql = sql("messaging.parked-head", { takes: keyColumns, gives: { event: json<Delivered>() } })`
  select event from parked_event where reader = $1 and aggregate = $2 and key = $3 order by sequence limit 1`;

const lockAttemptSql = sql("messaging.lock-attempt", { takes: [...keyColumns, uuid], gives: { key: text } })`
  select key from parked_key where reader = $1 and aggregate = $2 and key = $3 and attempt = $4 for update`;

const takeBackAttemptSql = sql("messaging.take-back-attempt", { takes: [...keyColumns, uuid], gives: {} })`
  update parked_key set attempts = attempts - 1, attempt = null, next_attempt_at = clock_timestamp()
  where reader = $1 and aggregate = $2 and key = $3 and attempt = $4`;

const lockKeySql = sql("messaging.lock-parked-key", { takes: keyColumns, gives: { state: text } })`
  select state from parked_key where reader = $1 and aggregate = $2 and key = $3 for update`;

const removeEventSql = sql("messaging.remove-parked-event", { takes: [...keyColumns, bigint], gives: {} })`
  delete from parked_event where reader = $1 and aggregate = $2 and key = $3 and sequence = $4`;

const nextHeadSql = sql("messaging.next-parked-head", { takes: keyColumns, gives: {} })`
  update parked_key set state = 'waiting', attempt = null, attempts = 0, next_attempt_at = clock_timestamp(), error = ''
  where reader = $1 and aggregate = $2 and key = $3`;

const unparkSql = sql("messaging.unpark", { takes: keyColumns, gives: {} })`
  delete from parked_key as parked where reader = $1 and aggregate = $2 and key = $3
  and not exists (select from parked_event as waiting
                  where waiting.reader = parked.reader and waiting.aggregate = parked.aggregate and waiting.key = parked.key)`;

const noteFailureSql = sql("messaging.note-failure", { takes: [...keyColumns, text, double], gives: {} })`
  update parked_key
  set error = $4, attempt = null,
    next_attempt_at = clock_timestamp() + $5 * power(2, least(attempts - 1, 16)) * interval '1 millisecond'
  where reader = $1 and aggregate = $2 and key = $3`;

const killKeySql = sql("messaging.kill-parked-key", { takes: [...keyColumns, text], gives: {} })`
  update parked_key set state = 'dead', error = $4, attempt = null where reader = $1 and aggregate = $2 and key = $3`;

const insertLetterSql = sql("messaging.insert-dead-letter", {
  takes: [text, text, text, text, bigint, text, text, json<unknown>(), text, text, integer, text, boolean],
  gives: {},
})`
  insert into dead_letter (reader, event_id, aggregate, key, sequence, type, source, event, error, cause, attempts, blocks, readable)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 = 'block', $13)
  on conflict (reader, event_id) do update
  set event = excluded.event, error = excluded.error, cause = excluded.cause, attempts = excluded.attempts,
    blocks = excluded.blocks, readable = excluded.readable, died_at = excluded.died_at`;

/** Whether the reader has set any key aside. */
export async function isAnyParked(queryable: Queryable, reader: string): Promise<boolean> {
  const [parked] = await queryable.query(isAnyParkedSql, [reader]);
  return parked?.isAny ?? false;
}

/** Locks those of the events' keys that are parked, and gives their names (see `inboxKey`). */
export async function lockParked(
  tx: Transaction,
  reader: string,
  events: readonly Delivered[],
): Promise<ReadonlySet<string>> {
  if (events.length === 0) return new Set();
  // Nearly always there is none, and a thousand keys need not travel to learn it.
  if (!(await isAnyParked(tx, reader))) return new Set();
  const rows = await tx.query(lockParkedSql, [
    reader,
    events.map((event) => aggregateOf(event.type)),
    events.map((event) => event.key),
  ]);
  return new Set(rows.map(({ aggregate, key }) => `${aggregate} ${key}`));
}

/** Sets a key aside with the event that failed, which is its first attempt. */
export async function park(
  tx: Transaction,
  feed: FeedName,
  event: Delivered,
  error: unknown,
  rule: ParkingRule,
): Promise<void> {
  const key = nameOf(feed.reader, event);
  const delayMs = withJitter(rule.retry.firstDelayMs);
  const parked = await tx.execute(parkKeySql, [...key, feed.source, 1, delayMs, describeError(error)]);
  // Somebody else parked the key meanwhile: then the event waits its turn there, whatever is wrong with it.
  if (parked === 0 || !isLast(rule, 1)) await waitBehind(tx, feed.reader, [event]);
  else await bury(tx, feed.reader, { event, number: 1 }, error, rule.whenDead);
}

/** Puts events behind their parked keys. One that can't be kept until its turn comes is a dead letter at once, and its key does not wait for it. */
export async function waitBehind(tx: Transaction, reader: string, all: readonly Delivered[]): Promise<void> {
  const events = all.filter(isKeepable);
  if (events.length < all.length) await keepLikenesses(tx, reader, all);
  if (events.length === 0) return;
  const aggregates = events.map((event) => aggregateOf(event.type));
  const keys = events.map((event) => event.key);
  await tx.execute(parkEventsSql, [reader, aggregates, keys, events.map((event) => event.sequence), [...events]]);
  // Each key once: a thousand events of one key would count all that waits of it a thousand times.
  const parked = [...new Map(events.map((event) => [inboxKey(event), event])).values()];
  const [overfull] = await tx.query(countWaitingSql, [
    reader,
    parked.map((event) => aggregateOf(event.type)),
    parked.map((event) => event.key),
    waitingBound,
  ]);
  if (overfull) throw new ParkingFullError(overfull.key);
}

async function keepLikenesses(tx: Transaction, reader: string, events: readonly Delivered[]): Promise<void> {
  const error = describeError(new UnkeepableError());
  for (const event of events)
    if (!isKeepable(event)) await insertLetter(tx, reader, event, { error, attempts: 0, whenDead: "skip" });
}

class UnkeepableError extends Error {
  override readonly name = "UnkeepableError";
  constructor() {
    super(
      "It came while its key was set aside, and can't be kept: it has a NUL, half of a character, or too many levels.",
    );
  }
}

/** Too many events wait behind one key. The feed pauses until a person has looked after it. */
export class ParkingFullError extends Error {
  override readonly name = "ParkingFullError";
  constructor(key: string) {
    super(`More than ${waitingBound} events wait behind the parked key ${key}.`);
  }
}

/** Keys of this reader and source whose next attempt is due. */
export const dueKeys = (database: Database, { reader, source }: FeedName, limit: number): Promise<KeyName[]> =>
  database.query(dueKeysSql, [reader, source, limit]);

/**
 * Begins an attempt at a due key's head and commits that it did: an event that ends the process is then found by the
 * number of its attempts. Nobody else begins one for `leaseMs`, or for as long as it is held. Undefined when another
 * process began one, or nothing is due any more.
 */
export function beginAttempt(
  database: Database,
  { reader }: FeedName,
  { aggregate, key }: KeyName,
  leaseMs: number,
): Promise<Attempt | undefined> {
  return database.transaction(async (tx) => {
    const [begun] = await tx.query(beginAttemptSql, [reader, aggregate, key, leaseMs]);
    if (!begun) return undefined;
    const [head] = await tx.query(headSql, [reader, aggregate, key]);
    if (!head) {
      await tx.execute(unparkSql, [reader, aggregate, key]);
      return undefined;
    }
    return { id: begun.id, aggregate, key, event: head.event, number: begun.attempts, now: begun.now };
  });
}

/** The attempt is under way still: nobody else begins one for another `leaseMs`. */
export async function holdAttempt(
  database: Database,
  { reader }: FeedName,
  { aggregate, key, id }: Attempt,
  leaseMs: number,
): Promise<void> {
  await database.execute(holdAttemptSql, [reader, aggregate, key, id, leaseMs]);
}

/** The attempt said nothing about the event: it does not count. */
export async function takeBackAttempt(database: Database, { reader }: FeedName, attempt: Attempt): Promise<void> {
  await database.execute(takeBackAttemptSql, [reader, attempt.aggregate, attempt.key, attempt.id]);
}

/**
 * Locks the key of an attempt: the first statement of the transaction that applies its event. Whoever puts an event behind
 * the key locks it, too, before touching anything else, so the two wait for each other instead of deadlocking.
 */
export async function lockAttempt(tx: Transaction, feed: FeedName, attempt: Attempt): Promise<void> {
  const held = await tx.query(lockAttemptSql, [feed.reader, attempt.aggregate, attempt.key, attempt.id]);
  // Another process went on with the key meanwhile: what this one does for it must not count.
  if (held.length === 0) throw new FencedError(feed);
}

/**
 * The event was applied in this transaction, which has locked the attempt: the next of its key becomes the head, and the
 * last one frees the key; true when it did.
 */
export async function unparkEvent(tx: Transaction, feed: FeedName, attempt: Attempt): Promise<boolean> {
  const key = [feed.reader, attempt.aggregate, attempt.key] as const;
  const removed = await tx.execute(removeEventSql, [...key, attempt.event.sequence]);
  if (removed === 0) throw new FencedError(feed);
  return await goOn(tx, key);
}

/** The attempt failed: the key waits longer, or, after the last, its head is dead. Tells which. */
export function failAttempt(
  database: Database,
  feed: FeedName,
  attempt: Attempt,
  error: unknown,
  rule: ParkingRule,
): Promise<"waiting" | "dead" | "superseded"> {
  const key = [feed.reader, attempt.aggregate, attempt.key] as const;
  return database.transaction(async (tx) => {
    const held = await tx.query(lockAttemptSql, [...key, attempt.id]);
    if (held.length === 0) return "superseded";
    if (!isLast(rule, attempt.number)) {
      await tx.execute(noteFailureSql, [...key, describeError(error), withJitter(rule.retry.firstDelayMs)]);
      return "waiting";
    }
    await tx.execute(removeEventSql, [...key, attempt.event.sequence]);
    await bury(tx, feed.reader, attempt, error, rule.whenDead);
    return "dead";
  });
}

/** Makes a dead letter of the head of a key whose row is locked; the rest of the key waits behind it, or goes on. */
async function bury(
  tx: Transaction,
  reader: string,
  { event, number }: Pick<Attempt, "event" | "number">,
  error: unknown,
  whenDead: WhenDead,
): Promise<void> {
  const key = nameOf(reader, event);
  const description = describeError(error);
  await insertLetter(tx, reader, event, { error: description, attempts: number, whenDead });
  if (whenDead === "block") await tx.execute(killKeySql, [...key, description]);
  else await goOn(tx, key);
}

/** It is neither applied nor lost: a person looks whether the sequence that was had is a true one. */
class PassedOverError extends Error {
  override readonly name = "PassedOverError";
  constructor({ sequence }: Delivered, had: number) {
    super(`Its sequence ${sequence} passes for had, since ${had} was, but it was told later than that one.`);
  }
}

/** Keeps an event that was passed over as a dead letter. Its key does not wait for it. */
export async function keepPassedOver(
  queryable: Queryable,
  reader: string,
  { event, had }: PassedOver<Delivered>,
): Promise<void> {
  const error = describeError(new PassedOverError(event, had));
  await insertLetter(queryable, reader, event, { error, attempts: 0, whenDead: "skip" });
}

/** Keeps an event that does not belong under its key, as something that can only be dropped. */
export async function keepMisplaced(
  queryable: Queryable,
  reader: string,
  event: Delivered,
  error: unknown,
): Promise<void> {
  const description = describeError(error);
  await insertLetter(queryable, reader, event, {
    error: description,
    attempts: 0,
    whenDead: "skip",
    isApplicable: false,
  });
}

interface LetterFacts {
  readonly error: string;
  readonly attempts: number;
  readonly whenDead: WhenDead;
  /** Default true: unless it can't be kept whole. */
  readonly isApplicable?: boolean;
}

function insertLetter(
  queryable: Queryable,
  reader: string,
  event: Delivered,
  { error, attempts, whenDead, isApplicable = true }: LetterFacts,
): Promise<number> {
  const { id, key, sequence, type, source } = event;
  const isWhole = isKeepable(event);
  const place = [reader, id, aggregateOf(type), key, sequence, type, source] as const;
  const kept = isWhole ? event : likeness(event);
  return queryable.execute(insertLetterSql, [
    ...place,
    kept,
    error,
    causeOf(error),
    attempts,
    whenDead,
    isWhole && isApplicable,
  ]);
}

/** The next waiting event of a key becomes its head; with none left the key is free, and true is given. */
export async function goOn(tx: Transaction, key: readonly [string, string, string]): Promise<boolean> {
  await tx.execute(nextHeadSql, key);
  return (await tx.execute(unparkSql, key)) === 1;
}

/** Locks a parked key and tells its state; undefined when it is not parked. */
export async function lockKey(
  tx: Transaction,
  reader: string,
  { aggregate, key }: KeyName,
): Promise<"waiting" | "dead" | undefined> {
  const [row] = await tx.query(lockKeySql, [reader, aggregate, key]);
  return row?.state as "waiting" | "dead" | undefined;
}

/**
 * Puts an event in its place among what waits of its key, parking the key where it is not. `due`: its turn comes at once,
 * or behind older ones that are tried; `blocked`: behind a dead letter; `there`: an event of this sequence waits already.
 */
export async function putBack(tx: Transaction, reader: string, event: Delivered): Promise<"due" | "blocked" | "there"> {
  const key = nameOf(reader, event);
  const name = { aggregate: key[1], key: key[2] };
  let state: "waiting" | "dead" | undefined;
  do {
    await tx.execute(parkKeySql, [...key, event.source, 0, 0, ""]);
    // A key that was freed between the two statements is parked anew.
    state = await lockKey(tx, reader, name);
  } while (state === undefined);
  const before = { reader, aggregates: [key[1]], keys: [key[2]] };
  const added = await tx.execute(parkEventsSql, [reader, before.aggregates, before.keys, [event.sequence], [event]]);
  if (added === 0) return "there";
  return state === "dead" ? "blocked" : "due";
}

export const isParked = (parked: ReadonlySet<string>, event: Delivered): boolean => parked.has(inboxKey(event));

const nameOf = (reader: string, event: Pick<Delivered, "type" | "key">) =>
  [reader, aggregateOf(event.type), event.key] as const;

const isLast = ({ retry, dead }: ParkingRule, attempt: number): boolean => dead || attempt >= retry.attempts;

/** Between half and the whole of the delay, so that keys that failed together do not come back together. */
export const withJitter = (delayMs: number): number => Math.round(delayMs * (0.5 + Math.random() / 2));
