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
import type { AccountRole } from "../role.ts";

export interface NewSession {
  readonly sessionId: string;
  readonly accountId: BuyerId;
  readonly userAgent: string | null;
  /** Days until its first refresh token ends. */
  readonly days: number;
}

const insertSessionSql = sql("accounts.insert-session", { takes: [uuid, uuid, nullable(text), integer], gives: {} })`
  insert into accounts.session (session_id, account_id, user_agent, expires_at)
  values ($1, $2, $3, now() + make_interval(days => $4))`;

export const insertSession = (tx: Transaction, { sessionId, accountId, userAgent, days }: NewSession) =>
  tx.execute(insertSessionSql, [sessionId, accountId, userAgent, days]);

const insertRefreshTokenSql = sql("accounts.insert-refresh-token", { takes: [bytes, uuid], gives: {} })`
  insert into accounts.refresh_token (token_hash, session_id, expires_at)
  select $1, session_id, expires_at from accounts.session where session_id = $2`;

/** The session's newest token: it ends when the session does. */
export const insertRefreshToken = (tx: Transaction, tokenHash: Buffer, sessionId: string) =>
  tx.execute(insertRefreshTokenSql, [tokenHash, sessionId]);

const lockSessionOfTokenSql = sql("accounts.lock-session-of-token", { takes: [bytes], gives: {} })`
  select from accounts.session
  where session_id = (select session_id from accounts.refresh_token where token_hash = $1) for update`;

const readRefreshTokenSql = sql("accounts.read-refresh-token", {
  takes: [bytes],
  gives: {
    sessionId: uuid,
    accountId: as<BuyerId>(uuid),
    role: as<AccountRole>(text),
    usedAt: nullable(instant),
    expiresAt: instant,
    now: instant,
  },
})`
  select t.session_id as "sessionId", a.account_id as "accountId", a.role, t.used_at as "usedAt",
    t.expires_at as "expiresAt", clock_timestamp() as now
  from accounts.refresh_token t join accounts.session s using (session_id) join accounts.account a using (account_id)
  where t.token_hash = $1`;

/** The token under the lock of its session; undefined where there is no such token, or its session has ended. */
export async function lockRefreshToken(tx: Transaction, tokenHash: Buffer) {
  // Sent together, run one after the other: the second sees what the one before us in the lock's line did to the token.
  const [, [token]] = await Promise.all([
    tx.execute(lockSessionOfTokenSql, [tokenHash]),
    tx.query(readRefreshTokenSql, [tokenHash]),
  ]);
  return token;
}

const markUsedSql = sql("accounts.mark-refresh-token-used", { takes: [bytes], gives: {} })`
  update accounts.refresh_token set used_at = now() where token_hash = $1`;

export const markUsed = (tx: Transaction, tokenHash: Buffer) => tx.execute(markUsedSql, [tokenHash]);

const prolongSessionSql = sql("accounts.prolong-session", { takes: [uuid, integer, integer], gives: {} })`
  update accounts.session set last_used_at = now(),
    expires_at = least(now() + make_interval(days => $2), created_at + make_interval(days => $3))
  where session_id = $1`;

/** Moves the session's end to so many days from now, and never beyond the most days from its beginning. */
export const prolongSession = (
  tx: Transaction,
  { sessionId, days, mostDays }: { sessionId: string; days: number; mostDays: number },
) => tx.execute(prolongSessionSql, [sessionId, days, mostDays]);

const endSessionSql = sql("accounts.end-session", { takes: [uuid], gives: {} })`
  delete from accounts.session where session_id = $1`;

export const endSession = (tx: Transaction, sessionId: string) => tx.execute(endSessionSql, [sessionId]);

const endSessionOfTokenSql = sql("accounts.end-session-of-token", { takes: [bytes], gives: {} })`
  delete from accounts.session
  where session_id = (select session_id from accounts.refresh_token where token_hash = $1)`;

/** Nothing happens where there is no such token. */
export const endSessionOfToken = (database: Database, tokenHash: Buffer) =>
  database.execute(endSessionOfTokenSql, [tokenHash]);

const endOwnSessionSql = sql("accounts.end-own-session", { takes: [uuid, uuid], gives: {} })`
  delete from accounts.session where session_id = $2 and account_id = $1 and expires_at > now()`;

/** False when this person has no such session. */
export const endOwnSession = async (database: Database, accountId: BuyerId, sessionId: string): Promise<boolean> =>
  (await database.execute(endOwnSessionSql, [accountId, sessionId])) === 1;

const endSessionsSql = sql("accounts.end-sessions", { takes: [uuid, nullable(uuid)], gives: {} })`
  delete from accounts.session where account_id = $1 and session_id is distinct from $2`;

/** Ends all sessions of an account whose row is locked, but for the one to keep. Gives how many they were. */
export const endSessions = (tx: Transaction, accountId: BuyerId, kept: string | null) =>
  tx.execute(endSessionsSql, [accountId, kept]);

const endOldestSessionsSql = sql("accounts.end-oldest-sessions", { takes: [uuid, bigint], gives: {} })`
  delete from accounts.session where session_id = any (array(
    select session_id from accounts.session where account_id = $1 order by last_used_at desc offset $2))`;

/** Keeps the `kept` sessions last used, of an account whose row is locked. */
export const endOldestSessions = (tx: Transaction, accountId: BuyerId, kept: number) =>
  tx.execute(endOldestSessionsSql, [accountId, kept]);

const listSessionsSql = sql("accounts.list-sessions", {
  takes: [uuid],
  gives: {
    sessionId: uuid,
    userAgent: nullable(text),
    createdAt: instant,
    lastUsedAt: instant,
    expiresAt: instant,
  },
})`
  select session_id as "sessionId", user_agent as "userAgent", created_at as "createdAt", last_used_at as "lastUsedAt",
    expires_at as "expiresAt"
  from accounts.session where account_id = $1 and expires_at > now() order by last_used_at desc`;

/** The one last used first. */
export const listSessions = (database: Database, accountId: BuyerId) => database.query(listSessionsSql, [accountId]);

const forgetExpiredTokensSql = sql("accounts.forget-expired-tokens", { takes: [bigint], gives: {} })`
  delete from accounts.refresh_token where ctid = any (array(
    select ctid from accounts.refresh_token where expires_at < now()
    order by expires_at limit $1 for update skip locked))`;

/** Removes at most `limit` refresh tokens that nobody can use any more. Gives how many there were. */
export const forgetExpiredTokens = (database: Database, limit: number) =>
  database.execute(forgetExpiredTokensSql, [limit]);

const forgetExpiredSessionsSql = sql("accounts.forget-expired-sessions", { takes: [bigint], gives: {} })`
  delete from accounts.session where ctid = any (array(
    select ctid from accounts.session where expires_at < now()
    order by expires_at limit $1 for update skip locked))`;

/** Removes at most `limit` sessions that nobody renewed in time. Gives how many there were. */
export const forgetExpiredSessions = (database: Database, limit: number) =>
  database.execute(forgetExpiredSessionsSql, [limit]);
