import {
  array,
  as,
  bigint,
  boolean,
  double,
  instant,
  json,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { NewsText, PersonalChannel } from "../message.ts";

export type BulkStatus = "scheduled" | "done" | "cancelled";
export type NewsTexts = Readonly<Record<string, NewsText>>;

export interface NewBulkMessage {
  readonly id: string;
  readonly texts: NewsTexts;
  readonly channels: readonly PersonalChannel[];
  readonly personIds: readonly string[] | null;
  readonly ratePerSecond: number;
  readonly sendAt: string;
  readonly createdBy: string;
}

const insertBulkSql = sql("notifications.insert-bulk", {
  takes: [uuid, json<NewsTexts>(), array(text), nullable(array(uuid)), double, instant, uuid],
  gives: {},
})`
  insert into notifications.bulk_message (id, texts, channels, person_ids, rate_per_second, send_at, created_by)
  values ($1, $2, $3, $4, $5, $6, $7)`;

export const insertBulk = (tx: Transaction, bulk: NewBulkMessage): Promise<number> =>
  tx.execute(insertBulkSql, [
    bulk.id,
    bulk.texts,
    bulk.channels,
    bulk.personIds,
    bulk.ratePerSecond,
    bulk.sendAt,
    bulk.createdBy,
  ]);

const dueBulksSql = sql("notifications.due-bulks", { takes: [bigint], gives: { id: uuid } })`
  select id from notifications.bulk_message
  where status = 'scheduled' and send_at <= clock_timestamp() order by send_at limit $1`;

/** The bulk messages whose time has come, the longest due first. */
export const dueBulks = async (database: Queryable, limit: number): Promise<string[]> =>
  (await database.query(dueBulksSql, [limit])).map(({ id }) => id);

const lockBulkSql = sql("notifications.lock-bulk", {
  takes: [uuid],
  gives: {
    id: uuid,
    channels: array(as<PersonalChannel>(text)),
    personIds: nullable(array(uuid)),
    ratePerSecond: double,
    reachedPersonId: nullable(uuid),
    allReached: boolean,
    /** Null before its first turn. */
    elapsedMs: nullable(double),
  },
})`
  select id, channels, person_ids as "personIds", rate_per_second as "ratePerSecond",
    reached_person_id as "reachedPersonId", all_reached as "allReached",
    extract(epoch from clock_timestamp() - paid_until)::float8 * 1000 as "elapsedMs"
  from notifications.bulk_message
  where id = $1 and status = 'scheduled' and send_at <= clock_timestamp() for update skip locked`;

/** Locks a bulk message for its turn. Undefined where another process has its turn, or it is over. */
export const lockBulk = async (tx: Transaction, id: string) => (await tx.query(lockBulkSql, [id]))[0];

export type LockedBulk = NonNullable<Awaited<ReturnType<typeof lockBulk>>>;

const reachSql = sql("notifications.reach", { takes: [uuid, nullable(uuid), boolean], gives: {} })`
  update notifications.bulk_message set reached_person_id = coalesce($2, reached_person_id), all_reached = $3 where id = $1`;

export const reach = (
  tx: Transaction,
  id: string,
  { personId, isLast }: { personId: string | null; isLast: boolean },
): Promise<number> => tx.execute(reachSql, [id, personId, isLast]);

const paySql = sql("notifications.pay", { takes: [uuid, double, double], gives: {} })`
  update notifications.bulk_message
  set paid_until = greatest(coalesce(paid_until, '-infinity'), clock_timestamp() - $3 * interval '1 millisecond')
    + $2 * interval '1 millisecond'
  where id = $1`;

/** Uses up `paidMs` milliseconds of the rate; at most `creditMs` of the past are left to catch up on. */
export const pay = (tx: Transaction, id: string, paidMs: number, creditMs: number): Promise<number> =>
  tx.execute(paySql, [id, paidMs, creditMs]);

const endBulkSql = sql("notifications.end-bulk", { takes: [uuid], gives: {} })`
  update notifications.bulk_message set status = 'done', ended_at = clock_timestamp()
  where id = $1 and status = 'scheduled' and all_reached and not exists (
    select from notifications.message where about = $1 and kind = 'news' and status = 'pending')`;

/** Ends it when nobody is left to be told. True when it did. */
export const endBulk = async (tx: Transaction, id: string): Promise<boolean> =>
  (await tx.execute(endBulkSql, [id])) === 1;

const reopenBulkSql = sql("notifications.reopen-bulk", { takes: [uuid], gives: {} })`
  update notifications.bulk_message set status = 'scheduled', ended_at = null where id = $1 and status = 'done'`;

/** Goes on with a bulk message of which a dead message is sent again. */
export const reopenBulk = (tx: Transaction, id: string): Promise<number> => tx.execute(reopenBulkSql, [id]);

const cancelBulkSql = sql("notifications.cancel-bulk", { takes: [uuid], gives: {} })`
  update notifications.bulk_message set status = 'cancelled', ended_at = clock_timestamp()
  where id = $1 and status = 'scheduled'`;

const withdrawNewsSql = sql("notifications.withdraw-news", { takes: [uuid], gives: {} })`
  update notifications.message set status = 'withdrawn', ended_at = clock_timestamp()
  where about = $1 and kind = 'news' and status = 'pending'`;

/** Cancels it with everything of it that was not sent yet. False when it has ended. */
export async function cancelBulk(tx: Transaction, id: string): Promise<boolean> {
  if ((await tx.execute(cancelBulkSql, [id])) === 0) return false;
  await tx.execute(withdrawNewsSql, [id]);
  return true;
}

const listBulksSql = sql("notifications.list-bulks", {
  takes: [uuid, bigint],
  gives: {
    id: uuid,
    texts: json<NewsTexts>(),
    channels: array(as<PersonalChannel>(text)),
    audience: nullable(bigint),
    ratePerSecond: double,
    sendAt: instant,
    status: as<BulkStatus>(text),
    allReached: boolean,
    createdBy: uuid,
    createdAt: instant,
    endedAt: nullable(instant),
  },
})`
  select id, texts, channels, cardinality(person_ids)::bigint as audience, rate_per_second as "ratePerSecond",
    send_at as "sendAt", status, all_reached as "allReached", created_by as "createdBy", created_at as "createdAt",
    ended_at as "endedAt"
  from notifications.bulk_message where id <= $1 order by id desc limit $2`;

/** The newest first, from this id on downwards. */
export const listBulks = (database: Queryable, { from, limit }: { from: string; limit: number }) =>
  database.query(listBulksSql, [from, limit]);

export type ShownBulk = Awaited<ReturnType<typeof listBulks>>[number];

export async function showBulk(database: Queryable, id: string): Promise<ShownBulk | undefined> {
  const [bulk] = await listBulks(database, { from: id, limit: 1 });
  return bulk?.id === id ? bulk : undefined;
}

const progressSql = sql("notifications.bulk-progress", {
  takes: [array(uuid)],
  gives: { id: uuid, status: text, messages: bigint },
})`
  select about as id, status, count(*) as messages from notifications.message
  where about = any($1) and kind = 'news' group by about, status`;

/** How many messages of these bulk messages are in each status. */
export const bulkProgress = (database: Queryable, ids: readonly string[]) => database.query(progressSql, [ids]);
