/** Where an event's time goes between the transaction that makes it true and the commit of its effect. */

/**
 * What an event passes, in this order. `visible`: a reader took a snapshot that shows it, or the log told of its commit.
 * `relayed`: the relay took it to the broker; `appended`: the broker has it (both only where there is a broker). `fetched`:
 * its consumer has it. `processed`: the consumer's effects are committed.
 */
export const hops = ["visible", "relayed", "appended", "fetched", "processed"] as const;
export type Hop = (typeof hops)[number];

/** When an event passed its hops, in milliseconds since 1970; what a log can't tell is absent. */
export type HopMoments = Readonly<Partial<Record<Hop, number>>>;

/** Milliseconds that each hop took, counted from the one before; the first from the insert. */
export type HopDurations = Readonly<Partial<Record<Hop, number>>>;

/** Clocks of several machines may differ: no hop takes less than nothing. */
export function hopDurations(insertedAt: number, moments: HopMoments): HopDurations {
  const durations: Partial<Record<Hop, number>> = {};
  let before = insertedAt;
  for (const hop of hops) {
    const moment = moments[hop];
    if (moment === undefined) continue;
    durations[hop] = Math.max(0, moment - before);
    before = Math.max(before, moment);
  }
  return durations;
}

export interface HopRow {
  readonly hop: Hop;
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Samples kept per hop: the latest, so that a report speaks of now, and enough for a p99 of a hundred beyond it. */
const samplesKept = 10_000;

/** Collects what hops took, and names the one that an event waits at longest. */
export class HopReport {
  readonly #samples = new Map<Hop, number[]>();
  #count = 0;

  add(durations: HopDurations): void {
    for (const hop of hops) {
      const milliseconds = durations[hop];
      if (milliseconds === undefined) continue;
      const samples = this.#samples.get(hop) ?? [];
      samples[this.#count % samplesKept] = milliseconds;
      this.#samples.set(hop, samples);
    }
    this.#count++;
  }

  rows(): HopRow[] {
    return hops.flatMap((hop) => {
      const sorted = (this.#samples.get(hop) ?? []).filter((value) => value !== undefined).toSorted((a, b) => a - b);
      if (sorted.length === 0) return [];
      return [{ hop, samples: sorted.length, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) }];
    });
  }

  /** The hop with the longest p99; undefined before the first sample. */
  bottleneck(): Hop | undefined {
    return this.rows().toSorted((a, b) => b.p99Ms - a.p99Ms)[0]?.hop;
  }
}

/** Of values in ascending order, by nearest rank. */
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
