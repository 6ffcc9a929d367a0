/** What a failure of the database means for the caller, decided in one place. */

import { DatabaseError } from "pg";

/** A transaction was used after its end: a promise was not awaited inside the transaction's function. */
export class TransactionEndedError extends Error {
  override readonly name = "TransactionEndedError";
  constructor() {
    super("This transaction has ended. Await everything that uses it inside the function it was given to.");
  }
}

/** The connection was lost while COMMIT was under way: the transaction may have committed. Look the work up; never redo it blindly. */
export class CommitUnknownError extends Error {
  override readonly name = "CommitUnknownError";
}

/** COMMIT answered ROLLBACK: a statement had failed and its error was swallowed inside the transaction. */
export class SwallowedFailureError extends Error {
  override readonly name = "SwallowedFailureError";
  constructor() {
    super("A statement of this transaction failed and its error was not passed on, so PostgreSQL rolled it back.");
  }
}

/** The five-character SQLSTATE of an error that PostgreSQL raised. */
export const sqlState = (error: unknown): string | undefined => (error instanceof DatabaseError ? error.code : undefined);

/** Serialization failure or deadlock: the whole transaction may be run again. */
export const isRetryable = (error: unknown): boolean => ["40001", "40P01"].includes(sqlState(error) ?? "");

/** A lock was not to be had within `lock_timeout`. */
export const isLockTimeout = (error: unknown): boolean => sqlState(error) === "55P03";

export const isUniqueViolation = (error: unknown): boolean => sqlState(error) === "23505";

const unavailableStates = /^(08...|53300|57P0[1-5]|57014|25P03)$/;
const unavailableMessages =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|Client was closed|Cannot use a pool after/;
const unavailableCodes = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT", "ETIMEDOUT", "EHOSTUNREACH"]);

/** The database could not be reached, is starting, stopping, out of connections, or did not answer in time. Trying later may help. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof CommitUnknownError) return true;
  const state = sqlState(error);
  if (state !== undefined) return unavailableStates.test(state);
  if (!(error instanceof Error)) return false;
  return unavailableCodes.has((error as NodeJS.ErrnoException).code ?? "") || unavailableMessages.test(error.message);
}
