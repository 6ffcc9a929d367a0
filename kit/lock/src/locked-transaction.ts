/** The lock goes after the commit, never before: in between, the next holder would read what is no longer true. */

import { CommitUnknownError, type Database, type Transaction, type TransactionOptions } from "@onsale/postgres";
import { LockLostError } from "./errors.ts";
import type { HeldLock, RedisLockOptions, RedisLocks } from "./redis-lock.ts";

export interface LockedTransactionOptions extends RedisLockOptions {
  /** The lock's name. */
  readonly name: string;
  readonly transaction?: TransactionOptions;
}

/**
 * Takes the lock, runs `work` in a transaction, commits, and then frees the lock. One that was rolled back frees it at once; of
 * one whose COMMIT was not answered nobody knows whether it is still at work, so its lease runs out. A lease that is lost
 * before the commit rolls it back. That is a courtesy and no guard: let `work` begin with a `Fence`.
 * @throws {LockTimeoutError}
 * @throws {LockLostError}
 */
export async function lockedTransaction<Result>(
  { database, locks }: { readonly database: Database; readonly locks: RedisLocks },
  { name, transaction, ...options }: LockedTransactionOptions,
  work: (tx: Transaction, lock: HeldLock) => Promise<Result>,
): Promise<Result> {
  const lock = await locks.acquire(name, options);
  try {
    const result = await database.transaction(async (tx) => {
      const done = await work(tx, lock);
      if (lock.lost.aborted) throw new LockLostError(name);
      return done;
    }, transaction);
    await lock.release();
    return result;
  } catch (error) {
    if (error instanceof CommitUnknownError) lock.letRunOut();
    else await lock.release();
    throw error;
  }
}

/**
 * The same for a transaction that somebody else opened: frees the lock when it has committed. One that is rolled back, or whose
 * process dies, frees it by its lease, which is not renewed from here on.
 */
export function releaseAfterCommit(tx: Transaction, lock: HeldLock): void {
  lock.letRunOut();
  tx.afterCommit(() => void lock.release());
}
