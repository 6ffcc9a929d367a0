import type { BuyerId } from "@onsale/contracts/ids";
import {
  as,
  bigint,
  bytes,
  type Database,
  instant,
  integer,
  nullable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { AccountRole } from "./account.ts";

const insertSessionSql = sql("accounts.insert-session", { takes: [uuid, uuid], gives: {} })`
  insert into accounts.session (session_id, account_id) values ($1, $2)`;

export const insertSession = (tx: Transaction, sessionId: string, accountId: BuyerId) =>
  tx.execute(insertSessionSql, [sessionId, accountId]);

const insertRefreshTokenSql = sql("accounts.insert-refresh-token", { takes: [bytes, uuid, integer], gives: {} })`
  insert into accounts.refresh_token (token_hash, session_id, expires_at)
  values ($1, $2, now() + make_interval(days => $3))`;

export const insertRefreshToken = (tx: Transaction, token: { tokenHash: Buffer; sessionId: string; days: number }) =>
  tx.execute(insertRefreshTokenSql, [token.tokenHash, token.sessionId, token.days]);

// Both rows are locked: of two who present one token at once the second sees it used, and a log-out waits.
const lockRefreshTokenSql = sql("accounts.lock-refresh-token", {
  takes: [bytes],
  gives: {
    sessionId: uuid,
    accountId: as<BuyerId>(uuid),
    role: as<AccountRole>(text),
    usedAt: nullable(instant),
    expiresAt: instant,
    sessionEndedAt: nullable(instant),
    now: instant,
  },
})`
  select t.session_id as "sessionId", a.account_id as "accountId", a.role, t.used_at as "usedAt",
    t.expires_at as "expiresAt", s.ended_at as "sessionEndedAt", clock_timestamp() as now
  from accounts.refresh_token t join accounts.session s using (session_id) join accounts.account a using (account_id)
  where t.token_hash = $1 for update of t, s`;

/** The token and its session, locked; undefined where there is no such token. */
export const lockRefreshToken = async (tx: Transaction, tokenHash: Buffer) =>
  (await tx.query(lockRefreshTokenSql, [tokenHash]))[0];

const markUsedSql = sql("accounts.mark-refresh-token-used", { takes: [bytes], gives: {} })`
  update accounts.refresh_token set used_at = now() where token_hash = $1`;

export const markUsed = (tx: Transaction, tokenHash: Buffer) => tx.execute(markUsedSql, [tokenHash]);

const endSessionSql = sql("accounts.end-session", { takes: [uuid], gives: {} })`
  update accounts.session set ended_at = now() where session_id = $1 and ended_at is null`;

export const endSession = (tx: Transaction, sessionId: string) => tx.execute(endSessionSql, [sessionId]);

const endSessionsOfSql = sql("accounts.end-sessions-of", { takes: [uuid], gives: {} })`
  update accounts.session set ended_at = now() where account_id = $1 and ended_at is null`;

export const endSessionsOf = (tx: Transaction, accountId: BuyerId) => tx.execute(endSessionsOfSql, [accountId]);

const forgetExpiredTokensSql = sql("accounts.forget-expired-tokens", { takes: [bigint], gives: {} })`
  delete from accounts.refresh_token where ctid = any (array(
    select ctid from accounts.refresh_token where expires_at < now()
    order by expires_at limit $1 for update skip locked))`;

/** Removes at most `limit` refresh tokens that nobody can use any more. Gives how many there were. */
export const forgetExpiredTokens = (database: Database, limit: number) =>
  database.execute(forgetExpiredTokensSql, [limit]);
