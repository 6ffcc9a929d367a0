import { setTimeout as sleep } from "node:timers/promises";

const lookEveryMs = 10;

/** Looks until something is so. Throws after `withinMs` milliseconds. */
export async function until(condition: () => Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`It did not happen within ${withinMs} ms: ${condition}`);
    await sleep(lookEveryMs);
  }
}
