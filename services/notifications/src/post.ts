import { request } from "undici";
import { NotTakenError, type NotTakenOptions } from "./sender.ts";

/** Milliseconds that a receiver has to answer. One answers in well under one second. */
const answerTimeoutMs = 5_000;

export interface Post {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number | undefined;
}

/** @throws TypeError when `url` is not http or https. */
export function refuseOtherThanHttp(url: string): void {
  const { protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:")
    throw new TypeError("Messages can be sent to http and https addresses only.");
}

/**
 * Posts JSON. Redirects are not followed: the address was chosen by an operator, where it points to was not.
 *
 * @throws {NotTakenError} for every answer that is not a success; `faultOf` says whose fault a status is.
 */
export async function post(
  { url, headers, body, timeoutMs = answerTimeoutMs }: Post,
  faultOf: (status: number) => NotTakenOptions["fault"],
  signal: AbortSignal,
): Promise<void> {
  // One bound over connecting, sending and reading: a receiver that drips bytes must not hold a place for longer.
  const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const answer = await request(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
      signal: bound,
    });
    // The status is the answer; what follows is only read away, to free the connection, and cut off by the bound.
    answer.body.dump().catch(() => undefined);
    const status = answer.statusCode;
    if (status >= 200 && status <= 299) return;
    const retryAfterMs = retryAfterOf(answer.headers["retry-after"]);
    throw new NotTakenError(`The receiver answered ${status}.`, { fault: faultOf(status), retryAfterMs });
  } catch (error) {
    if (error instanceof NotTakenError || signal.aborted) throw error;
    throw new NotTakenError(
      bound.aborted ? `The receiver did not answer within ${timeoutMs} ms.` : "The receiver can't be reached.",
      { fault: "line", cause: error },
    );
  }
}

// Longer is not believed: somebody's mistake would silence a channel for days.
const longestRetryAfterMs = 3_600_000;

function retryAfterOf(header: string | string[] | undefined): number {
  if (typeof header !== "string" || !/^\d{1,6}$/.test(header)) return 0;
  return Math.min(longestRetryAfterMs, Number(header) * 1_000);
}
