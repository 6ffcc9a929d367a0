/** What drills make of what they measured. */

/** Of values in any order, by nearest rank, to two decimals; undefined where there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = Float64Array.from(values).sort();
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  return value === undefined ? undefined : Math.round(value * 100) / 100;
}

/** To two decimals; undefined where one of the two is missing. */
export const ratio = (value: number | undefined, of: number | undefined): number | undefined =>
  value === undefined || of === undefined || of === 0 ? undefined : Math.round((value / of) * 100) / 100;

/** A violation where a ratio lies beyond its bound, or there is none. */
export function beyond(what: string, value: number | undefined, bound: { most: number } | { least: number }): string[] {
  const [holds, words] =
    "most" in bound
      ? [value !== undefined && value <= bound.most, `at most ${bound.most}`]
      : [value !== undefined && value >= bound.least, `at least ${bound.least}`];
  return holds ? [] : [`${what} is ${value ?? "not measured, let alone"} times the other; promised: ${words}`];
}
