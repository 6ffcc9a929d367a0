import { setTimeout as sleep } from "node:timers/promises";

export interface Parallel<Item> {
  /** How many are under way at once, at most. */
  readonly width: number;
  readonly signal: AbortSignal;
  readonly work: (item: Item) => Promise<void>;
}

/** Works through the items in their order, `width` at a time: each that ends lets the next begin. The first failure stops the rest. */
export async function inParallel<Item>(items: readonly Item[], { width, signal, work }: Parallel<Item>): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined && !failed; item = items[next++]) {
      signal.throwIfAborted();
      await work(item);
    }
  };
  const workers = Array.from({ length: Math.min(width, items.length) }, () =>
    worker().catch((error) => {
      failed = true;
      throw error;
    }),
  );
  throwFirst(await Promise.allSettled(workers));
}

/** Gives a function that runs work for many callers, `width` at a time; the others wait in the order in which they came. */
export function atMost(width: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  const line: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    // Whoever ends hands its place over, so the count stays.
    if (running >= width) await new Promise<void>((resolve) => line.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next) next();
      else running--;
    }
  };
}

/**
 * Begins the items at fixed moments, `ratePerSecond` of them, whether earlier ones have ended or not: a slow shop does
 * not slow the crowd down. Only `width` bounds what is under way.
 */
export async function atRate<Item>(
  items: readonly Item[],
  { width, signal, work, ratePerSecond }: Parallel<Item> & { readonly ratePerSecond: number },
): Promise<void> {
  const startedAt = performance.now();
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  for (const [index, item] of items.entries()) {
    await until(startedAt + (index * 1_000) / ratePerSecond, signal);
    while (underWay.size >= width) await Promise.race(underWay);
    signal.throwIfAborted();
    if (failure) break;
    const running = work(item)
      .catch((error) => {
        failure ??= { error };
      })
      .finally(() => underWay.delete(running));
    underWay.add(running);
  }
  await Promise.all(underWay);
  if (failure) throw failure.error;
}

/** Waits for a moment of `performance.now()`. A timer counts from its loop's last look at the clock, so it may end early. */
async function until(moment: number, signal: AbortSignal): Promise<void> {
  for (let waitMs = moment - performance.now(); waitMs > 0; waitMs = moment - performance.now())
    await sleep(waitMs, undefined, { signal });
}

function throwFirst(outcomes: readonly PromiseSettledResult<void>[]): void {
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
}
