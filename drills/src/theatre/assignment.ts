/** What the drill tells its processes, and what they answer. */

import type { FaultName } from "./fault-names.ts";
import type { Death } from "./kill-points.ts";

export interface WriterAssignment {
  readonly role: "writer";
  readonly url: string;
  readonly seed: number;
  readonly round: number;
  readonly fault?: FaultName;
  readonly death?: Death;
}

/** The broker that events go through, and what stands before the names of a drill's topics. */
export interface KafkaPlace {
  readonly bootstrap: string;
  readonly prefix: string;
}

export interface RelayAssignment {
  readonly role: "relay";
  readonly url: string;
  readonly kafka: KafkaPlace;
  readonly fault?: FaultName;
  readonly death?: Death;
}

/** Of each lane's topic. Fewer than the product's eight: a hundred keys still share each. */
export const topicPartitions = 4;

/** A killed owner's streams are taken over after this; short, so that a round is. A process that pauses longer is fenced. */
export const leaseMs = 400;

export interface ConsumerAssignment {
  readonly role: "consumer";
  readonly url: string;
  /** Absent: events are read from the outboxes directly. */
  readonly kafka?: KafkaPlace;
  readonly seed: number;
  /** Where calls to the outside leave their trace. */
  readonly journal: string;
  readonly fault?: FaultName;
  readonly death?: Death;
}

export type Assignment = WriterAssignment | ConsumerAssignment | RelayAssignment;

export type Order =
  | { readonly do: "work"; readonly assignment: Assignment }
  | { readonly do: "die"; readonly death: Death | null }
  /** `changes`: how many a writer makes before it ends, at least. */
  | { readonly do: "finish"; readonly changes?: number };

export type Answer =
  | { readonly said: "ready" }
  | { readonly said: "working" }
  /** A tenure ended otherwise than in good order: another process owns the stream, or the connections are gone. */
  | { readonly said: "cut-off" }
  | { readonly said: "finished" };

/** The keys of a round, and the one whose transactions stay open long. */
export const keysOf = (round: number): string[] => Array.from({ length: keyCount }, (_, index) => `r${round}-${index}`);
export const slowKeyOf = (round: number): string => `r${round}-slow`;
const keyCount = 100;
