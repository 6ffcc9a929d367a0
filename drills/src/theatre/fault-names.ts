/** The faults that can be planted, each of which somebody shipped once. */
export const faultNames = [
  "id-cursor",
  "xid-cursor",
  "insert-before-lock",
  "commit-offset-first",
  "dedupe-off",
  "take-over-without-epoch",
  "lane-change-without-rule",
  "deadline-without-watermark",
  "partition-dropped-early",
  "retry-topic-without-parking",
  "commit-highest-seen",
] as const;

export type FaultName = (typeof faultNames)[number];
