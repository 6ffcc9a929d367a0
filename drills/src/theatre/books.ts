/** Looks into both schemas of a stage: what was committed, what was done about it, and how far everybody is. */

import type { Lane } from "@onsale/messaging";
import {
  array,
  bigint,
  boolean,
  composedSql,
  type Database,
  double,
  instant,
  integer,
  nullable,
  sql,
  text,
  uuid,
} from "@onsale/postgres";
import type { Effect, Fact } from "./judge.ts";
import type { Schema } from "./stage.ts";

/** The consumers of a drill. */
export const consumers = ["sink.apply", "sink.call"] as const;

const openAccountsSql = sql("drills.open-accounts", { takes: [array(text)], gives: {} })`
  insert into source.account (key) select unnest($1::text[]) on conflict do nothing`;

const armSql = sql("drills.arm-deadlines", { takes: [text, array(text)], gives: {} })`
  insert into sink.saga_deadline (saga, key, wait, awaits, due_at)
  select $1, key, 'first-change', 'source', 'infinity' from unnest($2::text[]) as armed(key)
  on conflict do nothing`;

/** Makes the keys of a round, each with a deadline that waits for its first change. */
export async function openAccounts(admin: Database, keys: readonly string[], saga: string): Promise<void> {
  await admin.execute(openAccountsSql, [keys]);
  await admin.execute(armSql, [saga, keys]);
}

const comeDueSql = sql("drills.come-due", { takes: [text, integer], gives: {} })`
  with free as (
    select key from sink.saga_deadline
    where saga = $1 and due_at = 'infinity' and key in (select key from source.ledger where round = $2)
    for update skip locked
  )
  update sink.saga_deadline as deadline set due_at = clock_timestamp() from free
  where deadline.saga = $1 and deadline.due_at = 'infinity' and deadline.key = free.key`;

/**
 * Lets deadlines come due whose change is committed: by the time they are due there is no reason left to fire. Those that a
 * frozen process holds have their turn later.
 */
export const letComeDue = (admin: Database, saga: string, round: number): Promise<number> =>
  admin.execute(comeDueSql, [saga, round]);

const startedSql = sql("drills.started", { takes: [integer, bigint], gives: { started: boolean } })`
  select count(*) = $2 as started from (select distinct consumer from sink.effect where round = $1) as acting`;

/** Whether every consumer has acted on something of the round. */
export async function hasStarted(admin: Database, round: number): Promise<boolean> {
  const [row] = await admin.query(startedSql, [round, consumers.length]);
  return row?.started ?? false;
}

const actedSql = sql("drills.acted", { takes: [integer, text], gives: { effects: bigint } })`
  select count(*) as effects from sink.effect where process = $1 and consumer = $2`;

/** How much one process has done as one consumer. */
export async function effectsOf(admin: Database, pid: number, consumer: string): Promise<number> {
  const [row] = await admin.query(actedSql, [pid, consumer]);
  return row?.effects ?? 0;
}

/** Under which name a consumer's process is known to PostgreSQL. */
export const consumerName = (pid: number): string => `drill consumer ${pid}`;

const endOpenSql = sql("drills.end-open-transactions", { takes: [text], gives: { ended: boolean } })`
  select pg_terminate_backend(pid) as ended from pg_stat_activity
  where application_name = $1 and state like 'idle in transaction%'`;

/**
 * Ends the transactions that a frozen process has open, as PostgreSQL does by itself after a minute
 * (`idle_in_transaction_session_timeout`), which is longer than a drill can wait.
 */
export async function endOpenTransactions(admin: Database, pid: number): Promise<void> {
  await admin.query(endOpenSql, [consumerName(pid)]);
}

const changesSql = sql("drills.count-changes", { takes: [integer], gives: { changes: bigint, now: instant } })`
  select count(*) as changes, clock_timestamp() as now from source.ledger where round = $1`;

/** Changes of a round committed so far, and the database's time. */
export async function countChanges(admin: Database, round: number): Promise<{ changes: number; now: string }> {
  const [row] = await admin.query(changesSql, [round]);
  if (!row) throw new Error("The ledger gave no row.");
  return row;
}

const settledSql = sql("drills.settled", { takes: [instant], gives: { settled: boolean } })`
  select coalesce(bool_and(watermark > $1), false) and not exists (select from sink.parked_key) as settled
  from sink.reader_cursor`;

/** Whether everything committed before `moment` has been applied, and no key is parked. */
export async function hasSettled(admin: Database, moment: string): Promise<boolean> {
  const [row] = await admin.query(settledSql, [moment]);
  return row?.settled ?? false;
}

const hindrancesSql = sql("drills.hindrances", { takes: [instant], gives: { hindrance: text } })`
  select format('%s on %s/%s stands at %s (owner %s, unclean takes %s, paused at %s)',
    reader, lane, slot, watermark, coalesce(owner, 'nobody'), unclean_takes, coalesce(paused_at::text, 'no time')) as hindrance
  from sink.reader_cursor where watermark <= $1
  union all
  select format('key %s of %s is %s after %s attempts: %s', key, reader, state, attempts, error) from sink.parked_key`;

/** What keeps the changes before `moment` from being settled: streams that stand behind it, and keys that are parked. */
export const hindrances = async (admin: Database, moment: string): Promise<string[]> =>
  (await admin.query(hindrancesSql, [moment])).map(({ hindrance }) => hindrance);

const recoveredSql = sql("drills.recovered", {
  takes: [integer, nullable(integer)],
  gives: { recovered: boolean },
})`
  select coalesce(bool_and(split_part(owner, '/', 2) = $1::int::text and unclean_takes = 0), false)
    and not exists (
      select from source.reader_cursor
      where split_part(owner, '/', 2) is distinct from $2::int::text or unclean_takes > 0
    ) as recovered
  from sink.reader_cursor`;

/**
 * Whether these processes, by their ids, own every stream and have moved it since the owner before was killed. The row of one
 * that was just killed looks as sound as before until another has taken it.
 */
export async function hasRecovered(
  admin: Database,
  owners: { readonly consumer: number; readonly relay: number | null },
): Promise<boolean> {
  const [row] = await admin.query(recoveredSql, [owners.consumer, owners.relay]);
  return row?.recovered ?? false;
}

const factsSql = sql("drills.facts", { takes: [integer], gives: { token: uuid, key: text, version: bigint } })`
  select token, key, version from source.ledger where round = $1`;

export const factsOf = (admin: Database, round: number): Promise<Fact[]> => admin.query(factsSql, [round]);

const effectsSql = sql("drills.effects", { takes: [integer, text], gives: { token: uuid, key: text } })`
  select token, key from sink.effect where round = $1 and consumer = $2 order by id`;

/** What a consumer did for the changes of a round, in the order in which it did it. */
export const effectsIn = (admin: Database, round: number, consumer: string): Promise<Effect[]> =>
  admin.query(effectsSql, [round, consumer]);

const spanSql = sql("drills.span", { takes: [integer], gives: { firstMs: double, lastMs: double } })`
  select coalesce(extract(epoch from min(applied_at)) * 1000, 0)::float8 as "firstMs",
    coalesce(extract(epoch from max(applied_at)) * 1000, 0)::float8 as "lastMs" from sink.effect where round = $1`;

/** When the first and the last effect of a round happened, in milliseconds since 1970. */
export async function spanOf(admin: Database, round: number): Promise<{ firstMs: number; lastMs: number }> {
  const [row] = await admin.query(spanSql, [round]);
  return row ?? { firstMs: 0, lastMs: 0 };
}

const firedSql = sql("drills.fired", { takes: [integer], gives: { key: text } })`
  select key from sink.fired where round = $1 order by key`;

/** Keys of the round whose deadline fired. */
export const firedIn = async (admin: Database, round: number): Promise<string[]> =>
  (await admin.query(firedSql, [round])).map(({ key }) => key);

const retiredSql = sql("drills.retired", { takes: [], gives: { retired: bigint } })`
  select count(*) as retired from source.outbox_partition where truncated_at is not null`;

/** Partitions of the outbox that were let go. */
export async function partitionsRetired(admin: Database): Promise<number> {
  const [row] = await admin.query(retiredSql, []);
  return row?.retired ?? 0;
}

const countAppliedSql = sql("drills.count-applied", { takes: [array(uuid)], gives: { effects: bigint } })`
  select count(distinct (consumer, token)) as effects from sink.effect where token = any($1)`;

/** Of these changes, by how many consumers each was acted on, all together. */
export async function countApplied(admin: Database, tokens: readonly string[]): Promise<number> {
  const [row] = await admin.query(countAppliedSql, [tokens]);
  return row?.effects ?? 0;
}

/** What is asked and told of the cursors of one schema's readers. */
const cursorsIn = (schema: Schema) => ({
  pause: composedSql(`drills.pause-streams-of-${schema}`, {
    takes: [text],
    gives: {},
    text: `
      update ${schema}.reader_cursor set paused_at = clock_timestamp(), paused_by = 'drill'
      where lane = $1 and paused_at is null`,
  }),
  isIdle: composedSql(`drills.is-lane-idle-in-${schema}`, {
    takes: [text],
    gives: { idle: boolean },
    text: `select coalesce(bool_and(owner is null), false) as idle from ${schema}.reader_cursor where lane = $1`,
  }),
  resume: composedSql(`drills.resume-streams-of-${schema}`, {
    takes: [text],
    gives: {},
    text: `update ${schema}.reader_cursor set paused_at = null, paused_by = null where lane = $1`,
  }),
  readAll: { online: readAllOf("online", schema), bulk: readAllOf("bulk", schema) },
});

function readAllOf(lane: Lane, schema: Schema) {
  return composedSql(`drills.read-all-${lane}-in-${schema}`, {
    takes: [],
    gives: { read: boolean },
    text: `
      select coalesce(min(high), 0) >= (select coalesce(max(position), 0) from source.outbox_${lane}) as read
      from ${schema}.reader_cursor where lane = '${lane}'`,
  });
}

const cursors = { source: cursorsIn("source"), sink: cursorsIn("sink") };

/** Pauses every stream of a lane that a schema reads, as an operator does; whether nobody reads it any more. */
export async function pauseStreams(admin: Database, readers: Schema, lane: Lane): Promise<boolean> {
  await admin.execute(cursors[readers].pause, [lane]);
  const [row] = await admin.query(cursors[readers].isIdle, [lane]);
  return row?.idle ?? false;
}

export async function resumeStreams(admin: Database, readers: Schema, lane: Lane): Promise<void> {
  await admin.execute(cursors[readers].resume, [lane]);
}

/** Whether the saved cursors of a schema's readers of the outbox stand behind the last event that is committed. */
export async function hasReadAll(admin: Database, readers: Schema, lane: Lane): Promise<boolean> {
  const [row] = await admin.query(cursors[readers].readAll[lane], []);
  return row?.read ?? false;
}

const isDueSql = sql("drills.is-due", { takes: [text], gives: { due: boolean } })`
  select not exists (select from sink.saga_deadline where key = $1 and due_at > clock_timestamp()) as due`;

/** Whether the deadline of a key has come, or is gone. */
export async function isDue(admin: Database, key: string): Promise<boolean> {
  const [row] = await admin.query(isDueSql, [key]);
  return row?.due ?? false;
}

const hasFiredSql = sql("drills.has-fired", { takes: [text], gives: { fired: boolean } })`
  select exists (select from sink.fired where key = $1) as fired`;

export async function hasFired(admin: Database, key: string): Promise<boolean> {
  const [row] = await admin.query(hasFiredSql, [key]);
  return row?.fired ?? false;
}

const burnSql = sql("drills.burn-positions", { takes: [text, integer], gives: { burnt: bigint } })`
  select count(nextval(('source.outbox_' || $1 || '_position_seq')::regclass)) as burnt from generate_series(1, $2)`;

const extendSql = sql("drills.extend-source", { takes: [text, bigint], gives: { made: integer } })`
  select source.outbox_extend($1, $2, 4) as made`;

/** Uses up positions, as transactions do that are rolled back, and makes the partitions that follow. */
export async function burnPositions(admin: Database, lane: Lane, positions: number): Promise<void> {
  await admin.query(extendSql, [lane, positions]);
  await admin.query(burnSql, [lane, positions]);
  await admin.query(extendSql, [lane, positions]);
}

const blockedSql = sql("drills.is-blocked", { takes: [text], gives: { blocked: boolean } })`
  select exists (
    select from pg_stat_activity
    where application_name = $1 and datname = current_database() and wait_event_type = 'Lock') as blocked`;

/** Whether a connection of this name waits for a lock. */
export async function isAnybodyBlocked(admin: Database, applicationName: string): Promise<boolean> {
  const [row] = await admin.query(blockedSql, [applicationName]);
  return row?.blocked ?? false;
}

const parkedSql = sql("drills.parked-keys", { takes: [], gives: { key: text } })`
  select key from sink.parked_key order by key`;

/** Keys that were set aside and not freed. */
export const parkedKeys = async (admin: Database): Promise<string[]> =>
  (await admin.query(parkedSql, [])).map(({ key }) => key);
