import type { BuyerId } from "@onsale/contracts/ids";
import {
  as,
  bigint,
  type Database,
  double,
  instant,
  integer,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";

const insertRequestSql = sql("accounts.insert-reset-request", { takes: [text], gives: {} })`
  insert into accounts.reset_request (email) values ($1) on conflict (email) do nothing`;

/** Notes that somebody asks for a link; asked again before it was looked at, it is one. */
export const insertRequest = (database: Database, email: string) => database.execute(insertRequestSql, [email]);

const takeRequestsSql = sql("accounts.take-reset-requests", { takes: [bigint], gives: { email: text } })`
  delete from accounts.reset_request where ctid = any (array(
    select ctid from accounts.reset_request order by requested_at limit $1 for update skip locked))
  returning email`;

/** Takes the oldest requests; they come back when the transaction fails. */
export const takeRequests = (tx: Transaction, limit: number) => tx.query(takeRequestsSql, [limit]);

const putLinkSql = sql("accounts.put-reset-link", { takes: [uuid, uuid, integer], gives: {} })`
  insert into accounts.reset_link (account_id, reset_id, expires_at)
  values ($1, $2, clock_timestamp() + make_interval(mins => $3))
  on conflict (account_id) do update set reset_id = excluded.reset_id, expires_at = excluded.expires_at,
    mailed_at = null, attempts = 0, next_attempt_at = clock_timestamp()`;

/** Makes this the one link of an account whose row is locked. */
export const putLink = (tx: Transaction, link: { accountId: BuyerId; resetId: string; minutes: number }) =>
  tx.execute(putLinkSql, [link.accountId, link.resetId, link.minutes]);

const claimDueSql = sql("accounts.claim-due-reset-mails", {
  takes: [bigint],
  gives: { accountId: as<BuyerId>(uuid), resetId: uuid, expiresAt: instant, attempts: integer },
})`
  update accounts.reset_link set attempts = attempts + 1, next_attempt_at = clock_timestamp() + interval '1 minute'
  where account_id = any (array(
    select account_id from accounts.reset_link
    where mailed_at is null and next_attempt_at <= clock_timestamp() and expires_at > clock_timestamp()
    order by next_attempt_at limit $1 for update skip locked))
  returning account_id as "accountId", reset_id as "resetId", expires_at as "expiresAt", attempts`;

/** Begins an attempt at each of these mails, at most `limit`. Until it is settled, nobody else tries for a minute. */
export const claimDue = (database: Database, limit: number) => database.query(claimDueSql, [limit]);

const settleMailSql = sql("accounts.settle-reset-mail", { takes: [uuid], gives: {} })`
  update accounts.reset_link set mailed_at = clock_timestamp() where reset_id = $1`;

export const settleMail = (database: Database, resetId: string) => database.execute(settleMailSql, [resetId]);

const postponeMailSql = sql("accounts.postpone-reset-mail", { takes: [uuid, double], gives: {} })`
  update accounts.reset_link set next_attempt_at = clock_timestamp() + make_interval(secs => $2)
  where reset_id = $1`;

export const postponeMail = (database: Database, resetId: string, pauseMs: number) =>
  database.execute(postponeMailSql, [resetId, pauseMs / 1_000]);

const findLinkSql = sql("accounts.find-reset-link", {
  takes: [uuid],
  gives: { accountId: as<BuyerId>(uuid), email: text },
})`
  select account_id as "accountId", a.email from accounts.reset_link l join accounts.account a using (account_id)
  where l.reset_id = $1 and l.expires_at > clock_timestamp() and a.erased_at is null`;

/** Whose link it is; undefined when it is not good any more. */
export const findLink = async (database: Queryable, resetId: string) =>
  (await database.query(findLinkSql, [resetId]))[0];

const useLinkSql = sql("accounts.use-reset-link", { takes: [uuid], gives: {} })`
  delete from accounts.reset_link where reset_id = $1 and expires_at > clock_timestamp()`;

/** False when it was used, replaced, removed, or is over. The account's row is locked. */
export const useLink = async (tx: Transaction, resetId: string): Promise<boolean> =>
  (await tx.execute(useLinkSql, [resetId])) === 1;

const removeLinkSql = sql("accounts.remove-reset-link", { takes: [uuid], gives: {} })`
  delete from accounts.reset_link where account_id = $1`;

export const removeLink = (tx: Transaction, accountId: BuyerId) => tx.execute(removeLinkSql, [accountId]);

const forgetLinksSql = sql("accounts.forget-reset-links", { takes: [bigint], gives: {} })`
  delete from accounts.reset_link where ctid = any (array(
    select ctid from accounts.reset_link where expires_at < clock_timestamp()
    order by expires_at limit $1 for update skip locked))`;

/** Removes at most `limit` links that are over. */
export const forgetLinks = (database: Database, limit: number) => database.execute(forgetLinksSql, [limit]);
