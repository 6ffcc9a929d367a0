import { ProblemError, problem } from "@onsale/http";
import { isLockTimeout } from "@onsale/postgres";
import { errors } from "./errors.ts";

/**
 * Says of a wait for a row that took longer than the database's lock timeout that the wallet is busy. Nothing was done, and
 * the key is not spent: the same request may come again.
 */
export async function unlessBusy<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ProblemError || !isLockTimeout(error)) throw error;
    throw problem(409, errors.WALLET_BUSY, { retryAfterSeconds: 1, cause: error });
  }
}
