import type { ToldAnew } from "./consumers/inbox.ts";
import type { Lane } from "./events/event.ts";
import type { HopDurations } from "./hops.ts";

/** Which stream of events a fact is about. */
export interface FeedName {
  readonly reader: string;
  readonly source: string;
  readonly lane: Lane;
  /** Which of the lane's streams, by key; 0 where it has one. */
  readonly slot: number;
}

/** What the kit tells about itself. Every fact is one function, so that an application can count, log or ignore it. */
export interface MessagingTelemetry {
  /** A batch was applied and committed. `oldestAgeMs`: from the publishing of its first event to now; `hops`: where that time went. */
  batchApplied(
    fact: FeedName & { events: number; milliseconds: number; oldestAgeMs: number; hops: HopDurations },
  ): void;
  /** A key failed and was set aside; the others flow on. */
  keyParked(fact: FeedName & { type: string; error: unknown }): void;
  /** A parked key's events were all applied. */
  keyRecovered(fact: FeedName): void;
  /** A parked key failed for the last time: a person has to look. */
  keyDead(fact: FeedName & { type: string; error: unknown }): void;
  /** A restored producer tells other facts of a key than it had told; the reader has acted on some that it does not know. */
  toldAnew(fact: FeedName & ToldAnew): void;
  /**
   * An event passes for a repetition, and was told later than what it would repeat: its key's sequence runs ahead of its producer. It is
   * a dead letter, not applied.
   */
  passedOver(fact: FeedName & { id: string; type: string; key: string; sequence: number; had: number }): void;
  /** Somebody else owns the feed now; nothing of ours was committed. */
  fenced(fact: FeedName): void;
  /** The feed stopped for a fault of the machine and will try again. */
  interrupted(fact: FeedName & { error: unknown; retryInMs: number }): void;
}

const ignore = (): void => undefined;

export const silentTelemetry: MessagingTelemetry = {
  batchApplied: ignore,
  keyParked: ignore,
  keyRecovered: ignore,
  keyDead: ignore,
  toldAnew: ignore,
  passedOver: ignore,
  fenced: ignore,
  interrupted: ignore,
};
