/** The lock was not to be had in the time that was given. Nothing was done; the same may be tried again. */
export class LockTimeoutError extends Error {
  override readonly name = "LockTimeoutError";
  readonly retryable = true;
  readonly what: string;
  readonly waitMs: number;
  constructor(what: string, waitMs: number, options?: ErrorOptions) {
    super(`${what} was locked by somebody else for all of ${waitMs} ms.`, options);
    this.what = what;
    this.waitMs = waitMs;
  }
}

/** Somebody else was faster, time and again. Nothing was written; the same may be tried again. */
export class ConflictError extends Error {
  override readonly name = "ConflictError";
  readonly retryable = true;
  constructor(what: string, attempts: number) {
    super(`${what} was changed by somebody else at each of ${attempts} attempts.`);
  }
}

/** The lease ran out, or somebody else has the lock, while the work under it was going on; the work was undone. */
export class LockLostError extends Error {
  override readonly name = "LockLostError";
  readonly retryable = true;
  constructor(name: string) {
    super(`The lease of ${name} was lost before the work under it had ended.`);
  }
}

/** The database has seen a newer holder of the lock: whoever comes with this token overran its lease, and must not write. */
export class StaleTokenError extends Error {
  override readonly name = "StaleTokenError";
  readonly retryable = false;
  constructor(name: string, token: number) {
    super(`A newer holder of ${name} than that of token ${token} has written already.`);
  }
}
