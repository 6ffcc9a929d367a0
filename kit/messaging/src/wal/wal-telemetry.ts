import type { FeedName } from "../telemetry.ts";

/**
 * What can be the matter with a replication slot. `recreated`: there is one of our name, but it begins behind what we have
 * had. `foreign`: it is not of our kind, so somebody else's. `other-origin`: the server, its timeline or the publication
 * is another one. `unavailable`: the server can't be asked, or refuses.
 */
export type SlotTrouble = "absent" | "lost" | "recreated" | "foreign" | "busy" | "other-origin" | "unavailable";

/** What an outbox log tells about how it reads. */
export interface OutboxLogTelemetry {
  /** From now on this reader serves the feed. */
  servedBy(fact: FeedName & { by: "snapshot" | "wal"; why: string }): void;
  /** The slot can't be read from; the table is read instead, and the slot is tried again. */
  slotTrouble(fact: FeedName & { slotName: string; trouble: SlotTrouble; error: Error; retryInMs: number }): void;
  /** The server was promoted, or restored to a moment: the cursor was loaded anew from it. */
  timelineChanged(fact: FeedName & { from: number; to: number }): void;
}

const ignore = (): void => undefined;

export const silentLogTelemetry: OutboxLogTelemetry = {
  servedBy: ignore,
  slotTrouble: ignore,
  timelineChanged: ignore,
};
