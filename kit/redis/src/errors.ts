import { ErrorReply } from "@redis/client";

/**
 * Redis could not be reached, did not answer in time, or answered that it can't serve now. What was asked may have been
 * done all the same. Trying later may help.
 */
export class RedisUnavailableError extends Error {
  override readonly name = "RedisUnavailableError";
  readonly retryable = true;
}

/** How Redis says that it is there and can't serve: reading its file, a replica, out of memory, unable to write its file. */
const cannotServe = /^(LOADING|READONLY|MASTERDOWN|OOM|MISCONF|BUSY|NOREPLICAS|CLUSTERDOWN|TRYAGAIN)\b/;

/** What a failed command means for its caller: an answer that says the command itself is wrong is passed on as it is. */
export function asUnavailable(error: unknown): unknown {
  if (error instanceof RedisUnavailableError) return error;
  if (error instanceof ErrorReply && !cannotServe.test(error.message)) return error;
  const why = error instanceof Error ? error.message || error.name : String(error);
  return new RedisUnavailableError(`Redis is not available: ${why}`, { cause: error });
}
