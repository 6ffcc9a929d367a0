/** Compares what a reader delivered with what was committed. */

export interface Row {
  readonly id: string;
  readonly key: string;
  readonly sequence: number;
}

export interface Verdict {
  /** Committed rows that were not delivered. */
  readonly lost: number;
  /** Deliveries of rows that were not committed. */
  readonly invented: number;
  /** Deliveries after the first of a row. */
  readonly repeated: number;
  /** First deliveries that came behind a later event of their key. */
  readonly inverted: number;
}

export const flawless: Verdict = { lost: 0, invented: 0, repeated: 0, inverted: 0 };

export function judge(committed: readonly Row[], delivered: readonly Row[]): Verdict {
  const truth = new Set(committed.map(({ id }) => id));
  const seen = new Set<string>();
  const highest = new Map<string, number>();
  let invented = 0;
  let repeated = 0;
  let inverted = 0;
  for (const { id, key, sequence } of delivered) {
    if (!truth.has(id)) invented++;
    if (seen.has(id)) {
      repeated++;
      continue;
    }
    seen.add(id);
    if (sequence < (highest.get(key) ?? 0)) inverted++;
    highest.set(key, Math.max(sequence, highest.get(key) ?? 0));
  }
  return { lost: [...truth].filter((id) => !seen.has(id)).length, invented, repeated, inverted };
}
