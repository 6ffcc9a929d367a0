import { setTimeout as sleep } from "node:timers/promises";
import { ConflictError } from "./errors.ts";

export interface OptimisticUpdate<State, Result> {
  /** What is changed, for the error. */
  readonly what: string;
  /** Reads the state with its version: anew at each attempt, so neither from a copy nor in one repeatable snapshot. */
  readonly read: () => Promise<State>;
  /**
   * Writes on the condition that the version is still the one read (`... where version = $n`), counting it up; undefined
   * when no row fitted, because somebody else was faster.
   */
  readonly write: (state: State) => Promise<Result | undefined>;
  /** Attempts in all. Default 10. */
  readonly attempts?: number;
}

// Two that meet miss each other at the second attempt; many are better served by a lock, and hear so.
const defaultAttempts = 10;

// Before the second attempt up to the first of these, doubled each time, up to the other.
const [firstPauseMs, longestPauseMs] = [4, 100];

/**
 * Changes what others may change at the same time without making anybody wait: whoever finds that it was changed since it was
 * read decides again.
 * @throws {ConflictError} after the last attempt.
 */
export async function optimistically<State, Result>({
  what,
  read,
  write,
  attempts = defaultAttempts,
}: OptimisticUpdate<State, Result>): Promise<Result> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const result = await write(await read());
    if (result !== undefined) return result;
    // Full jitter, so that those who met do not meet again.
    if (attempt < attempts) await sleep(Math.random() * Math.min(firstPauseMs * 2 ** attempt, longestPauseMs));
  }
  throw new ConflictError(what, attempts);
}
