import type { ReceivedBatch } from "./received-batch.ts";

/** A transaction that its producer took back, as a broker tells of it. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** The key of the mark behind a transaction that was taken back: its version and its kind, in two bytes each. */
const abortMark = "\0\0\0\0";

/**
 * Those of the batches that count: neither Kafka's own marks nor what was taken back. Foreign producers may use Kafka's
 * transactions; a producer has one at a time, which ends with its mark.
 */
export function committedBatches(
  batches: readonly ReceivedBatch[],
  aborted: readonly AbortedTransaction[],
): ReadonlySet<ReceivedBatch> {
  const begun = new Set<bigint>();
  const toBegin = aborted.toSorted((one, other) => other.firstOffset - one.firstOffset);
  const committed = new Set<ReceivedBatch>();
  for (const batch of batches) {
    for (let last = toBegin.at(-1); last && last.firstOffset < batch.endOffset; last = toBegin.at(-1)) {
      begun.add(last.producerId);
      toBegin.pop();
    }
    if (batch.isControl) {
      if (batch.next().key === abortMark) begun.delete(batch.producerId);
    } else if (!batch.isTransactional || !begun.has(batch.producerId)) {
      committed.add(batch);
    }
  }
  return committed;
}
