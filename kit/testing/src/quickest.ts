/**
 * Does something several times and gives the milliseconds of the quickest: what else the machine does holds up some, and rarely
 * all. For bounds that are promised, not for speed. `undo` puts things back behind each, off the clock.
 */
export async function quickestOf<Result>(
  times: number,
  work: () => Promise<Result>,
  undo: (result: Result) => Promise<unknown> = async () => undefined,
): Promise<number> {
  let quickestMs = Number.POSITIVE_INFINITY;
  for (let time = 1; time <= times; time++) {
    const beganAt = performance.now();
    const result = await work();
    quickestMs = Math.min(quickestMs, performance.now() - beganAt);
    await undo(result);
  }
  return quickestMs;
}
