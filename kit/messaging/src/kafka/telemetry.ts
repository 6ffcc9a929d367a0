import type { FeedName } from "../telemetry.ts";

/** What relays and readers of Kafka tell about themselves. */
export interface KafkaTelemetry {
  /** The broker has acknowledged events; `oldestAgeMs`: from the publishing of the first of them to now. */
  appended(fact: FeedName & { events: number; milliseconds: number; oldestAgeMs: number }): void;
  topicMade(fact: { topic: string; partitions: number }): void;
  /** The topic ends before what it had acknowledged, or is another one of the same name: it is written again from the outbox. */
  tailLost(fact: FeedName & { topic: string; why: string }): void;
  /** A reader stood beyond what the broker still has, or in a topic that was replaced; it goes on where the two agree. */
  readerSetBack(fact: { reader: string; topic: string; partition: number; from: number; to: number }): void;
  /** Something on a topic is no event of ours; it lies with the dead letters. */
  foreignRecord(fact: FeedName & { topic: string; cause: string; where: string }): void;
  /** The broker can't be reached, or refuses; it is asked again and again. */
  brokerLost(fact: { reader: string; error: unknown }): void;
  brokerBack(fact: { reader: string; afterMs: number }): void;
  /** Offsets could not be committed to Kafka. Nothing of ours reads them; tools that show lag show an old one. */
  offsetsNotCommitted(fact: { reader: string; topic: string; error: unknown }): void;
}

const ignore = (): void => undefined;

export const silentKafkaTelemetry: KafkaTelemetry = {
  appended: ignore,
  topicMade: ignore,
  tailLost: ignore,
  readerSetBack: ignore,
  foreignRecord: ignore,
  brokerLost: ignore,
  brokerBack: ignore,
  offsetsNotCommitted: ignore,
};
