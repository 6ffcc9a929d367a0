/**
 * The key is parked, not the message: when an event fails for good reasons of its own, it and every later event of its key
 * wait here in their order, and all other keys flow. Parking and redriving lock the same row.
 */

import {
  array,
  bigint,
  type Database,
  double,
  instant,
  integer,
  json,
  sql,
  type Transaction,
  text,
} from "@onsale/postgres";
import { aggregateOf, type Delivered } from "./event.ts";
import { inboxKey } from "./inbox.ts";
import { FencedError } from "./progress.ts";
import type { FeedName } from "./telemetry.ts";

/** Attempts at a key's head before a person is needed, and the wait before the second; it doubles, with jitter. */
export interface RetryRule {
  readonly attempts: number;
  readonly firstDelayMs: number;
}
export const defaultRetry: RetryRule = { attempts: 3, firstDelayMs: 1_000 };

/** Events that wait behind one key at most. At the bound the feed pauses, rather than let one key fill the disk. */
export const waitingBound = 10_000;

export interface ParkedKey {
  readonly aggregate: string;
  readonly key: string;
  readonly attempts: number;
}

const lockParkedSql = sql("messaging.lock-parked", {
  takes: [text, array(text), array(text)],
  gives: { aggregate: text, key: text },
})`
  select parked.aggregate, parked.key
  from unnest($2::text[], $3::text[]) as event(aggregate, key)
  join parked_key as parked on parked.reader = $1 and parked.aggregate = event.aggregate and parked.key = event.key
  for update of parked`;

const parkKeySql = sql("messaging.park-key", { takes: [text, text, text, text, double, text, text], gives: {} })`
  insert into parked_key (reader, aggregate, key, source, state, attempts, next_attempt_at, error)
  values ($1, $2, $3, $4, $7, 1, clock_timestamp() + $5 * interval '1 millisecond', $6)
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

const lockDueKeySql = sql("messaging.lock-due-key", {
  takes: [text, text, text],
  gives: { attempts: integer, now: instant },
})`
  select attempts, clock_timestamp() as now from parked_key
  where reader = $1 and aggregate = $2 and key = $3 and state = 'waiting' and next_attempt_at <= clock_timestamp() for update skip locked`;

const headSql = sql("messaging.parked-head", {
  takes: [text, text, text, bigint],
  gives: { event: json<Delivered>() },
})`
  select event from parked_event where reader = $1 and aggregate = $2 and key = $3 order by sequence limit $4`;

const lockKeySql = sql("messaging.lock-parked-key", { takes: [text, text, text], gives: { key: text } })`
  select key from parked_key where reader = $1 and aggregate = $2 and key = $3 for update`;

const dropEventSql = sql("messaging.drop-parked-event", { takes: [text, text, text, bigint], gives: {} })`
  delete from parked_event where reader = $1 and aggregate = $2 and key = $3 and sequence = $4`;

const unparkSql = sql("messaging.unpark", { takes: [text, text, text], gives: {} })`
  delete from parked_key as parked where reader = $1 and aggregate = $2 and key = $3
  and not exists (select from parked_event as waiting
                  where waiting.reader = parked.reader and waiting.aggregate = parked.aggregate and waiting.key = parked.key)`;

const failKeySql = sql("messaging.fail-parked-key", { takes: [text, text, text, double, text, text], gives: {} })`
  update parked_key set attempts = attempts + 1, next_attempt_at = clock_timestamp() + $4 * interval '1 millisecond', error = $5, state = $6
  where reader = $1 and aggregate = $2 and key = $3`;

/** Locks those of the events' keys that are parked, and gives their names (see `inboxKey`). */
export async function lockParked(
  tx: Transaction,
  reader: string,
  events: readonly Delivered[],
): Promise<ReadonlySet<string>> {
  if (events.length === 0) return new Set();
  const rows = await tx.query(lockParkedSql, [
    reader,
    events.map((event) => aggregateOf(event.type)),
    events.map((event) => event.key),
  ]);
  return new Set(rows.map(({ aggregate, key }) => `${aggregate} ${key}`));
}

/** Sets a key aside with the event that failed. */
export async function park(
  tx: Transaction,
  feed: FeedName,
  event: Delivered,
  error: unknown,
  { retry, dead }: { retry: RetryRule; dead: boolean },
): Promise<void> {
  const state = dead || retry.attempts <= 1 ? "dead" : "waiting";
  await tx.execute(parkKeySql, [
    feed.reader,
    aggregateOf(event.type),
    event.key,
    feed.source,
    withJitter(retry.firstDelayMs),
    describeError(error),
    state,
  ]);
  await waitBehind(tx, feed.reader, [event]);
}

/** Puts events behind their parked keys. */
export async function waitBehind(tx: Transaction, reader: string, events: readonly Delivered[]): Promise<void> {
  if (events.length === 0) return;
  const aggregates = events.map((event) => aggregateOf(event.type));
  const keys = events.map((event) => event.key);
  await tx.execute(parkEventsSql, [reader, aggregates, keys, events.map((event) => event.sequence), [...events]]);
  const [overfull] = await tx.query(countWaitingSql, [reader, aggregates, keys, waitingBound]);
  if (overfull) throw new ParkingFullError(overfull.key);
}

/** Too many events wait behind one key. The feed pauses until a person has looked after it. */
export class ParkingFullError extends Error {
  override readonly name = "ParkingFullError";
  constructor(key: string) {
    super(`More than ${waitingBound} events wait behind the parked key ${key}.`);
  }
}

/** Keys of this reader and source whose next attempt is due. */
export const dueKeys = (
  database: Database,
  { reader, source }: FeedName,
  limit: number,
): Promise<{ aggregate: string; key: string }[]> => database.query(dueKeysSql, [reader, source, limit]);

/** Locks a due key and gives its waiting events in order, at most `limit`. Undefined when another process has it, or it is gone. */
export async function lockDueKey(
  tx: Transaction,
  reader: string,
  { aggregate, key }: { aggregate: string; key: string },
  limit: number,
) {
  const [row] = await tx.query(lockDueKeySql, [reader, aggregate, key]);
  if (!row) return undefined;
  const events = await tx.query(headSql, [reader, aggregate, key, limit]);
  return { attempts: row.attempts, now: row.now, events: events.map(({ event }) => event) };
}

/**
 * The event was applied in this transaction: the next of its key becomes the head, and the last one frees the key; true
 * when it did. The key's row is locked first, in a statement of its own: an event that is being put behind the key at this
 * moment is then seen by the next statement, and not lost with the key.
 */
export async function unparkEvent(tx: Transaction, feed: FeedName, event: Delivered): Promise<boolean> {
  const name = [feed.reader, aggregateOf(event.type), event.key] as const;
  await tx.query(lockKeySql, name);
  const dropped = await tx.execute(dropEventSql, [...name, event.sequence]);
  // Another process redrove it meanwhile: what this one did for it must not count.
  if (dropped === 0) throw new FencedError(feed);
  return (await tx.execute(unparkSql, name)) === 1;
}

/** Another attempt failed: the key waits longer, or, after the last, is dead. Tells which. */
export async function failAgain(
  database: Database,
  reader: string,
  event: Delivered,
  error: unknown,
  attempts: number,
  retry: RetryRule,
): Promise<"waiting" | "dead"> {
  const state = attempts + 1 >= retry.attempts ? "dead" : "waiting";
  const delayMs = withJitter(retry.firstDelayMs * 2 ** attempts);
  await database.execute(failKeySql, [
    reader,
    aggregateOf(event.type),
    event.key,
    delayMs,
    describeError(error),
    state,
  ]);
  return state;
}

export const isParked = (parked: ReadonlySet<string>, event: Delivered): boolean => parked.has(inboxKey(event));

/** Between half and the whole of the delay, so that keys that failed together do not come back together. */
const withJitter = (delayMs: number): number => Math.round(delayMs * (0.5 + Math.random() / 2));

/** The chain of causes, shortened: an operator reads it, and it must not carry a whole payload. */
function describeError(error: unknown): string {
  const parts: string[] = [];
  for (
    let cause = error;
    cause !== undefined && parts.length < 5;
    cause = cause instanceof Error ? cause.cause : undefined
  ) {
    parts.push(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause));
  }
  return parts.join(" <- ").slice(0, 2_000).replaceAll("\u0000", "");
}
