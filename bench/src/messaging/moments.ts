/** When something happened to each order, as processes tell one another. */
export interface Moments {
  readonly orderIds: readonly string[];
  /** On the shared clock, in milliseconds. */
  readonly at: readonly number[];
}

/** What lay between two things that happened to the same orders, in ascending order, in milliseconds. */
export function between(earlier: Moments, later: Moments): number[] {
  const happened = new Map(later.orderIds.map((orderId, index) => [orderId, later.at[index] ?? 0]));
  const durations = earlier.orderIds.map((orderId, index) => {
    const end = happened.get(orderId);
    if (end === undefined) throw new Error(`The order ${orderId} was told and never heard.`);
    return end - (earlier.at[index] ?? 0);
  });
  if (durations.length === 0) throw new Error("Nothing was measured.");
  return durations.sort((a, b) => a - b);
}

export interface Quantiles {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maximumMs: number;
}

/** Of durations in ascending order, by nearest rank. */
export const quantilesOf = (durations: readonly number[]): Quantiles => ({
  samples: durations.length,
  p50Ms: quantile(durations, 0.5),
  p99Ms: quantile(durations, 0.99),
  maximumMs: quantile(durations, 1),
});

const quantile = (sorted: readonly number[], share: number): number => {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return Math.round(value * 100) / 100;
};
