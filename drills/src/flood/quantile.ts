/** Of values in any order, by nearest rank, to two decimals; undefined where there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = Float64Array.from(values).sort();
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  return value === undefined ? undefined : Math.round(value * 100) / 100;
}
