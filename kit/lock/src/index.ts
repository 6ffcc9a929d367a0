export {
  type KeyLockOptions,
  lockKeys,
  openSessionLock,
  type SessionLock,
  type SessionLockOptions,
} from "./advisory.ts";
export { ConflictError, LockLostError, LockTimeoutError, StaleTokenError } from "./errors.ts";
export { type Fence, fence } from "./fence.ts";
export { type LockedTransactionOptions, lockedTransaction, releaseAfterCommit } from "./locked-transaction.ts";
export { type OptimisticUpdate, optimistically } from "./optimistic.ts";
export { type HeldLock, type RedisLockOptions, RedisLocks, type Release } from "./redis-lock.ts";
export { type LockWait, waitingAtMost } from "./row-wait.ts";
