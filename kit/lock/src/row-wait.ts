import { isLockTimeout, sql, type Transaction, text } from "@onsale/postgres";
import { LockTimeoutError } from "./errors.ts";

export interface LockWait {
  /** What is locked, for the error. */
  readonly what: string;
  /** Milliseconds that a statement waits for each lock that it takes; at least 1, since PostgreSQL's 0 means for ever. */
  readonly waitMs: number;
}

const currentWaitSql = sql("lock.current-wait", { takes: [], gives: { wait: text } })`
  select current_setting('lock_timeout') as wait`;

const setWaitSql = sql("lock.set-wait", { takes: [text], gives: { wait: text } })`
  select set_config('lock_timeout', $1, true) as wait`;

/**
 * Pessimistic: runs statements that lock rows (`select ... for update`, an update) with a bounded wait, in the transaction that
 * holds what they lock until its end. Costs no round trip of its own.
 * @throws {LockTimeoutError} The transaction can only be rolled back then; the whole of it may be tried again.
 */
export async function waitingAtMost<Result>(
  tx: Transaction,
  { what, waitMs }: LockWait,
  work: () => Promise<Result>,
): Promise<Result> {
  if (!(waitMs >= 1)) throw new RangeError(`A wait of ${waitMs} ms is no bound.`);
  try {
    // Sent together, answered in order.
    const [[before], , result] = await Promise.all([
      tx.query(currentWaitSql, []),
      tx.query(setWaitSql, [`${Math.ceil(waitMs)}ms`]),
      work(),
    ]);
    // Not awaited: whatever comes next stands behind it, and the transaction does not end before it.
    void tx.query(setWaitSql, [before?.wait ?? "0"]);
    return result;
  } catch (error) {
    throw isLockTimeout(error) ? new LockTimeoutError(what, waitMs, { cause: error }) : error;
  }
}
