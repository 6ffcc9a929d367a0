import type { BenchRow } from "../report.ts";

/** How much a part of the bench measures. */
export interface PartOptions {
  /** Measurements of ours and of the limit, in turn. */
  readonly pairs: number;
  /** Of one measurement. */
  readonly seconds: number;
  /** That lie in the outbox when a backlog is read. */
  readonly events: number;
  /** Orders a second of the load under which latencies are measured. */
  readonly perSecond: number;
  /** Before peers are measured: their virtual machine compiles what it runs often. */
  readonly peerWarmUpSeconds: number;
  readonly say: (words: string) => void;
  /** Throws when the person has ended the command: asked between two measurements. */
  readonly goOn: () => void;
}

export interface PartReport {
  readonly rows: readonly BenchRow[];
  readonly details: object;
}
