/** PostgreSQL's advisory locks: of names instead of rows, so also of what has no row yet. */

import { createHash } from "node:crypto";
import { array, isLockTimeout, sql, type Transaction, text, voids } from "@onsale/postgres";
import pg from "pg";
import { LockTimeoutError } from "./errors.ts";
import { waitingAtMost } from "./row-wait.ts";

export interface KeyLockOptions {
  /** Milliseconds that are waited for each of the keys. */
  readonly waitMs: number;
}

const lockKeysSql = sql("lock.keys", { takes: [array(text)], gives: { locked: voids } })`
  select pg_advisory_xact_lock(('x' || key)::bit(64)::bigint) as locked from unnest($1::text[]) as key`;

/**
 * Locks these names until the transaction ends, however it ends; with the row locks that it takes they are checked for
 * deadlocks. Several names are locked in one order, so that two who want the same ones wait for each other instead.
 * @throws {LockTimeoutError} The transaction can only be rolled back then.
 */
export async function lockKeys(tx: Transaction, keys: readonly string[], { waitMs }: KeyLockOptions): Promise<void> {
  const hashed = [...new Set(keys.map(hashOf))].sort();
  await waitingAtMost(tx, { what: keys.join(", "), waitMs }, () => tx.query(lockKeysSql, [hashed]));
}

/** 64 bits in hexadecimal: PostgreSQL locks a number. That two names of a shop meet in one is unlikely, and costs a wait. */
const hashOf = (key: string): string => createHash("sha256").update(key).digest("hex").slice(0, 16);

export interface SessionLockOptions extends KeyLockOptions {
  /** As for `openDatabase`: straight to the server, since a pooler of transactions would hand the session to others. */
  readonly url: string;
  readonly key: string;
  readonly applicationName: string;
}

/** A name locked for as long as one connection of its own lives. */
export interface SessionLock extends AsyncDisposable {
  /** Aborted when the connection was lost, and with it the lock. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

const connectMs = 2_000;

// A holder whose machine vanished without a word is found by the server's probes in 10 + 3 * 5 s.
const probes = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3";

/**
 * Locks a name beyond transactions: for what one process alone does at a time, as long as it lives. It has no lease, so a
 * frozen holder keeps it; what it writes while it does not know that its connection was lost, nobody refuses. Where that
 * matters, take a lock with a fencing token.
 * @throws {LockTimeoutError}
 */
export async function openSessionLock({ url, key, waitMs, applicationName }: SessionLockOptions): Promise<SessionLock> {
  if (!(waitMs >= 1)) throw new RangeError(`A wait of ${waitMs} ms is no bound.`);
  const client = new pg.Client({
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    options: `-c lock_timeout=${Math.ceil(waitMs)} ${probes}`,
  });
  const over = new AbortController();
  client.on("error", () => over.abort());
  client.once("end", () => over.abort());
  const close = () => client.end().catch(() => undefined);
  try {
    await client.connect();
    await client.query("select pg_advisory_lock(('x' || $1)::bit(64)::bigint)", [hashOf(key)]);
  } catch (error) {
    await close();
    throw isLockTimeout(error) ? new LockTimeoutError(key, waitMs, { cause: error }) : error;
  }
  return { lost: over.signal, release: close, [Symbol.asyncDispose]: close };
}
