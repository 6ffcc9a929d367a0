/** Deadlines are rows: they outlive every process, and no clock but the database's fires them. */

import { array, bigint, instant, type Queryable, sql, type Transaction, text } from "@onsale/postgres";

export interface Deadline {
  /** The key of the saga that waits, for instance an order's id. */
  readonly key: string;
  /** What it waits for; one row per key and wait. */
  readonly wait: string;
  /** The service whose answer is waited for. Absent: the clock alone counts. */
  readonly awaits?: string;
  /** RFC 3339, database time. */
  readonly dueAt: string;
}

const onTheClockAlone = "";

const armColumns = { takes: [text, array(text), array(text), array(text), array(instant)], gives: {} } as const;

const armSql = sql("saga.arm-deadlines", armColumns)`
  insert into saga_deadline (saga, key, wait, awaits, due_at)
  select $1::text, key, wait, awaits, due_at
  from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) as deadline(key, wait, awaits, due_at)
  on conflict (saga, key, wait) do update set awaits = excluded.awaits, due_at = excluded.due_at`;

/** Sets deadlines; one that is set already moves. The caller holds the row locks of the keys. */
export async function armDeadlines(tx: Transaction, saga: string, deadlines: readonly Deadline[]): Promise<void> {
  if (deadlines.length > 0) await tx.execute(armSql, armParameters(saga, deadlines));
}

const armFirstSql = sql("saga.arm-first-deadlines", armColumns)`
  insert into saga_deadline (saga, key, wait, awaits, due_at)
  select $1::text, key, wait, awaits, due_at
  from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) as deadline(key, wait, awaits, due_at)`;

/**
 * Sets the first deadlines of keys that came to be in this transaction, at half the price: nothing is looked up. One that
 * is set already fails the transaction.
 */
export async function armFirstDeadlines(tx: Transaction, saga: string, deadlines: readonly Deadline[]): Promise<void> {
  if (deadlines.length > 0) await tx.execute(armFirstSql, armParameters(saga, deadlines));
}

const armParameters = (saga: string, deadlines: readonly Deadline[]) =>
  [
    saga,
    deadlines.map((deadline) => deadline.key),
    deadlines.map((deadline) => deadline.wait),
    deadlines.map((deadline) => deadline.awaits ?? onTheClockAlone),
    deadlines.map((deadline) => deadline.dueAt),
  ] as const;

const disarmSql = sql("saga.disarm-deadlines", { takes: [text, array(text)], gives: {} })`
  delete from saga_deadline where saga = $1 and key = any($2)`;

/** Removes all deadlines of these keys. */
export async function disarmDeadlines(tx: Transaction, saga: string, keys: readonly string[]): Promise<void> {
  if (keys.length > 0) await tx.execute(disarmSql, [saga, keys]);
}

const ofKeySql = sql("saga.deadlines-of-key", {
  takes: [text, text],
  gives: { key: text, wait: text, awaits: text, dueAt: instant },
})`
  select key, wait, awaits, due_at as "dueAt" from saga_deadline where saga = $1 and key = $2 order by due_at, wait`;

/** Everything that is set for one key, the next first. */
export async function deadlinesOfKey(
  queryable: Queryable,
  { saga, key }: { readonly saga: string; readonly key: string },
): Promise<Deadline[]> {
  return (await queryable.query(ofKeySql, [saga, key])).map(asDeadline);
}

// A source without a row in reader_cursor has never been heard, and holds its deadlines back; so does one lane of it
// that is behind. Nothing here waits for a lock, so whoever holds a key's row can wait for this without a deadlock.
const takeDueSql = sql("saga.take-due-deadlines", {
  takes: [text, text, bigint],
  gives: { key: text, wait: text, awaits: text, dueAt: instant },
})`
  with heard(source, up_to) as (
    select '', statement_timestamp()
    union all
    select source, least(min(watermark), statement_timestamp()) from reader_cursor where reader = $2 group by source
  ), due as (
    select ripe.key, ripe.wait
    from heard cross join lateral (
      select deadline.key, deadline.wait from saga_deadline deadline
      where deadline.saga = $1 and deadline.awaits = heard.source and deadline.due_at <= heard.up_to
        and not exists (select from parked_key where parked_key.reader = $2 and parked_key.key = deadline.key)
      order by deadline.due_at
      limit $3
      for update skip locked
    ) ripe
  )
  delete from saga_deadline deadline using due
  where deadline.saga = $1 and deadline.key = due.key and deadline.wait = due.wait
  returning deadline.key, deadline.wait, deadline.awaits, deadline.due_at as "dueAt"`;

/**
 * Takes deadlines that have passed, oldest first, at most `limit` for each service awaited: those whose due time lies
 * behind the database's clock and behind what `reader` has heard of the awaited service, and whose key is not parked
 * there. Without the second condition a relay that was down for ten minutes would cancel ten minutes of paid orders;
 * without the third, an answer that lies in the parking would be taken for none.
 *
 * A taken deadline is gone; who can't act on it now arms it again in the same transaction.
 */
export async function takeDueDeadlines(
  tx: Transaction,
  { saga, reader, limit }: { readonly saga: string; readonly reader: string; readonly limit: number },
): Promise<Deadline[]> {
  const rows = await tx.query(takeDueSql, [saga, reader, limit]);
  return rows.map(asDeadline);
}

const asDeadline = ({ awaits, ...rest }: Required<Deadline>): Deadline =>
  awaits === onTheClockAlone ? rest : { ...rest, awaits };
