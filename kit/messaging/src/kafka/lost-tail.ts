/**
 * A broker that was cut off from power, or whose disk was restored, may have lost what it had acknowledged. It is noticed
 * by the leader's epoch: each record lies in the epoch of the leader that took it, and a broker that comes back begins
 * another one, so an older epoch that now ends earlier than it did has lost records, however much was written since.
 */

import type { Database } from "@onsale/postgres";
import type { FeedName } from "../telemetry.ts";
import type { KafkaCluster, Topic } from "./cluster.ts";
import type { Positions } from "./positions.ts";
import { checkpointsIn, type RelayCursor } from "./relay-cursor.ts";

/** Where to write on from, and why not from where it was. */
export interface Regained {
  readonly cursor: RelayCursor;
  readonly why?: string;
}

/**
 * Compares how far a topic was acknowledged with what it has. When something is missing, gives the youngest checkpoint
 * that the topic still reaches to; without one, `beginning`: everything that the outbox still has is written again.
 * What consumers have had already they drop.
 */
export async function regain(
  { database, cluster, feed }: { database: Database; cluster: KafkaCluster; feed: FeedName },
  topic: Topic,
  { saved, beginning }: { saved: RelayCursor; beginning: RelayCursor["outbox"] },
): Promise<Regained> {
  const { kafka } = saved;
  if (kafka.topic === undefined) return { cursor: saved };
  if (kafka.topic !== topic.topicId)
    return { cursor: { outbox: beginning, kafka: {} }, why: `another topic (${topic.topicId}) took its place` };
  const lost = await whatIsLost(cluster, topic, kafka.at ?? {});
  if (lost === undefined) return { cursor: saved };
  for (const checkpoint of await checkpointsIn(database, feed, topic.topicId)) {
    if ((await whatIsLost(cluster, topic, checkpoint.kafka.at)) === undefined) return { cursor: checkpoint, why: lost };
  }
  return { cursor: { outbox: beginning, kafka: {} }, why: lost };
}

async function whatIsLost(cluster: KafkaCluster, topic: Topic, at: Positions): Promise<string | undefined> {
  const written = Object.entries(at).map(([partition, position]) => ({ partition: Number(partition), ...position }));
  const ends = await cluster.endsOfEpochs(topic, new Map(written.map(({ partition, epoch }) => [partition, epoch])));
  const lost = written.find(({ partition, offset }) => (ends.get(partition) ?? 0) < offset);
  return (
    lost &&
    `partition ${lost.partition} was acknowledged up to ${lost.offset} and now ends at ${ends.get(lost.partition)}`
  );
}
