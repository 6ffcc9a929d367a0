import { setTimeout as sleep } from "node:timers/promises";
import { defineDuration, defineFact } from "./telemetry.ts";

/** Work that recurs in this process: one run at a time, the next `everyMs` milliseconds after the end of the last. */
export interface RecurringWork {
  readonly name: string;
  readonly everyMs: number;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface RunningWork {
  /** Asks the runs under way to end (their signal is aborted) and waits for them. */
  drain(): Promise<void>;
}

const telemetry = {
  failed: defineFact("job failed", { counter: "onsale_job_failed_total", labels: ["job"], level: "warn" }),
  recovered: defineFact("job runs again", { level: "info" }),
  took: defineDuration("onsale_job_seconds", "how long one run of a job took", ["job"]),
};

// A job that fails because the database is away looks again soon at first and every half minute in the end.
const firstRetryMs = 500;
const longestRetryMs = 30_000;

/** Starts the loops. A run that fails is told and tried again with growing pauses; the other loops don't notice. */
export function startRecurringWork(work: readonly RecurringWork[]): RunningWork {
  const stop = new AbortController();
  const loops = work.map((it) => loop(it, stop.signal));
  return {
    async drain() {
      stop.abort();
      await Promise.all(loops);
    },
  };
}

async function loop(work: RecurringWork, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const failed = await runOnce(work, signal, failures);
    if (failures > 0 && !failed) telemetry.recovered({ job: work.name, after: failures });
    failures = failed ? failures + 1 : 0;
    await pause(pauseMs(work, failures), signal);
  }
}

async function runOnce({ name, run }: RecurringWork, signal: AbortSignal, failuresBefore: number): Promise<boolean> {
  const began = performance.now();
  try {
    await run(signal);
    return false;
  } catch (error) {
    // What a job throws because it was told to end is not a failure.
    if (!signal.aborted) telemetry.failed({ job: name, error, failures: failuresBefore + 1 });
    return true;
  } finally {
    telemetry.took(performance.now() - began, { job: name });
  }
}

/** After a failure: never sooner than the first retry, never more often than the job runs anyway once it keeps failing. */
function pauseMs({ everyMs }: RecurringWork, failures: number): number {
  // Up to a tenth more or less, so that several processes started together do not meet at each run.
  const spread = 0.9 + Math.random() * 0.2;
  if (failures === 0) return everyMs * spread;
  return Math.min(longestRetryMs, Math.max(everyMs, firstRetryMs * 2 ** Math.min(failures - 1, 16))) * spread;
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  // The timer holds nothing open: a loop ends with its process.
  await sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
}
