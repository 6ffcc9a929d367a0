import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  /** Milliseconds; a bound against hanging, not an expectation of speed. Default 20,000. */
  readonly withinMs?: number;
  /** What is waited for, for the message when it doesn't come. */
  readonly what?: string;
}

/**
 * Waits until `condition` gives something other than undefined, null or false, and gives that. A throw counts as "not
 * yet" and is the cause of the failure when the time is over.
 */
export async function waitFor<Result>(
  condition: () => Result | Promise<Result>,
  { withinMs = 20_000, what = "what was waited for" }: WaitOptions = {},
): Promise<Exclude<Result, undefined | null | false>> {
  const deadline = performance.now() + withinMs;
  for (let cause: unknown; ; ) {
    try {
      const result = await condition();
      cause = undefined;
      if (result !== undefined && result !== null && result !== false) {
        return result as Exclude<Result, undefined | null | false>;
      }
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${withinMs} ms`, { cause });
    await sleep(pollMs);
  }
}

const pollMs = 10;
