import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "./logger.ts";

/** One part of a running program: how it comes up, and how it goes down within a bound. */
export interface Part<Value> {
  readonly start: () => Value | Promise<Value>;
  /** Stops taking work, finishes what is under way, lets go. Absent where there is nothing to let go. */
  readonly stop?: (value: Value) => void | Promise<void>;
  /** Milliseconds that `stop` may take; then the program goes on without it. State the reason where the part is declared. */
  readonly stopWithinMs?: number;
}

interface Running {
  readonly name: string;
  readonly stop: () => void | Promise<void>;
  readonly stopWithinMs: number;
}

/** What came of stopping: the parts that didn't stop within their bound, or failed to. */
export interface StopReport {
  readonly unclean: readonly { readonly name: string; readonly why: string }[];
}

// Enough for anything that only has to close handles.
const defaultStopWithinMs = 2_000;

/**
 * Starts parts in the order in which `start` is called and stops them in reverse: a part may use, until its own end,
 * whatever was started before it. Parts started together (`Promise.all`) count in the order of the calls.
 */
export class Lifecycle {
  readonly #logger: Logger;
  readonly #parts: (Running | undefined)[] = [];
  #stopping: Promise<StopReport> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Starts one part. When it fails the error is passed on, and it is the caller who stops what runs already. */
  async start<Value>(name: string, { start, stop, stopWithinMs = defaultStopWithinMs }: Part<Value>): Promise<Value> {
    if (this.#stopping) throw new Error(`${name} can't be started: the program is stopping.`);
    const place = this.#parts.push(undefined) - 1;
    const began = performance.now();
    const value = await start();
    const running = { name, stopWithinMs, stop: () => stop?.(value) };
    this.#logger.debug({ part: name, startMs: Math.round(performance.now() - began) }, "part started");
    // The stop began while this part was starting: nobody else will stop it.
    if (this.#stopping) {
      await this.#stopPart(running);
      throw new Error(`${name} was stopped while it started.`);
    }
    this.#parts[place] = running;
    return value;
  }

  /** Stops everything in reverse order. Calling it again waits for the same stop. It never throws. */
  stop(reason: string): Promise<StopReport> {
    this.#stopping ??= this.#stopAll(reason);
    return this.#stopping;
  }

  async #stopAll(reason: string): Promise<StopReport> {
    this.#logger.info({ reason }, "stopping");
    const unclean: { name: string; why: string }[] = [];
    for (const part of this.#parts.toReversed()) {
      if (part === undefined) continue;
      const why = await this.#stopPart(part);
      if (why !== undefined) unclean.push({ name: part.name, why });
    }
    return { unclean };
  }

  async #stopPart({ name, stop, stopWithinMs }: Running): Promise<string | undefined> {
    const began = performance.now();
    const why = await within(stopWithinMs, stop);
    const stopMs = Math.round(performance.now() - began);
    if (why === undefined) this.#logger.debug({ part: name, stopMs }, "part stopped");
    else this.#logger.warn({ part: name, stopMs, why }, "part did not stop cleanly");
    return why;
  }
}

/** Runs `stop` for at most the bound; says why it wasn't clean, or nothing. */
async function within(boundMs: number, stop: () => void | Promise<void>): Promise<string | undefined> {
  const timer = new AbortController();
  try {
    const stopped = Promise.resolve(stop()).then(() => undefined);
    const late = sleep(boundMs, `took more than ${boundMs} ms`, { signal: timer.signal });
    return await Promise.race([stopped, late]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    timer.abort();
  }
}
