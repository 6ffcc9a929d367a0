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
  constructor(options?: ErrorOptions) {
    super(
      "A statement of this transaction failed and its error was not passed on, so PostgreSQL rolled it back.",
      options,
    );
  }
}

/** The five-character SQLSTATE of the error that PostgreSQL raised, also where it was wrapped as a cause. */
export const sqlState = (error: unknown): string | undefined => raisedBy(error)?.code;

/** Serialization failure or deadlock: the whole transaction may be run again. */
export const isRetryable = (error: unknown): boolean => ["40001", "40P01"].includes(sqlState(error) ?? "");

/** A lock was not to be had within `lock_timeout`. */
export const isLockTimeout = (error: unknown): boolean => sqlState(error) === "55P03";

export const isUniqueViolation = (error: unknown): boolean => sqlState(error) === "23505";

/**
 * The connection's prepared statement no longer fits the schema, as after a migration by another process, or is not
 * known there. Nothing was done; a new connection prepares it anew.
 */
export function isStalePlan(error: unknown): boolean {
  const raised = raisedBy(error);
  return raised?.code === "26000" || raised?.routine === "RevalidateCachedQuery";
}

/**
 * Whether a failure of COMMIT leaves open what became of the transaction. An error that PostgreSQL raised rolled it
 * back, except those with which it ends a session or itself, which may come after the commit.
 */
export function saysNothingAboutCommit(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || /^(08|57P|58|XX)/.test(state);
}

const unavailableStates = /^(08...|53300|57P0[1-5]|57014|25P0[34])$/;
const unavailableMessages =
  /Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|not queryable|Client was closed|Cannot use a pool after/;
const unavailableCodes = new Set([
  // A Unix socket at which too many wait to be let in says so at once; TCP would let them wait.
  "EAGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOENT",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

/** The database could not be reached, is starting, stopping, out of connections, or did not answer in time. Trying later may help. */
export function isUnavailable(error: unknown): boolean {
  for (const one of causesOf(error)) {
    if (one instanceof CommitUnknownError) return true;
    if (one instanceof DatabaseError) return unavailableStates.test(one.code ?? "") || isStalePlan(one);
    if (unavailableCodes.has((one as NodeJS.ErrnoException).code ?? "") || unavailableMessages.test(one.message))
      return true;
  }
  return false;
}

const raisedBy = (error: unknown): DatabaseError | undefined =>
  causesOf(error).find((one) => one instanceof DatabaseError);

// A cause of a cause of a cause: nobody wraps deeper, and a circle must end.
const depth = 5;

function causesOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let next = error; next instanceof Error && chain.length < depth; next = next.cause) chain.push(next);
  return chain;
}
