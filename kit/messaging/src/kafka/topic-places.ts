/** Where the topics of a source stood at a moment: a reader that is to be given again what it had, goes back to there. */

import { type Lane, lanes } from "../events/event.ts";
import type { KafkaCluster } from "./cluster.ts";
import type { Positions, TopicPositions } from "./positions.ts";

/**
 * By how much a broker's clock may differ from the database's, in milliseconds. A record is marked with the broker's time,
 * an event with its database's.
 */
const clocksDifferMs = 60_000;

/**
 * The places of the first records that were written at `moment` (RFC 3339; absent: of all that are kept) or later, or somewhat
 * before. A partition that has no such record, and a lane without a topic, are absent.
 */
export async function topicPlaces(
  cluster: KafkaCluster,
  source: string,
  moment: string | undefined,
): Promise<Readonly<Partial<Record<Lane, TopicPositions>>>> {
  const found = await Promise.all(
    lanes.map(async (lane) => {
      const topic = await cluster.describe(cluster.topicOf(source, lane));
      if (!topic) return [];
      const partitions = topic.leaders.map((_, partition) => partition);
      const at = await placesIn(cluster, { name: topic.name, partitions, moment });
      return [[lane, { cluster: topic.clusterId, topic: topic.topicId, at }] as const];
    }),
  );
  return Object.fromEntries(found.flat());
}

async function placesIn(
  cluster: KafkaCluster,
  { name, partitions, moment }: { name: string; partitions: readonly number[]; moment: string | undefined },
): Promise<Positions> {
  const offsetIn = async (partition: number): Promise<number | undefined> =>
    moment === undefined
      ? (await cluster.bounds(name, partition)).first
      : await cluster.firstSince(name, partition, Date.parse(moment) - clocksDifferMs);
  const found = await Promise.all(
    partitions.map(async (partition) => {
      const offset = await offsetIn(partition);
      // Under which leader the record before it was written, nobody has to know: nothing before it was read.
      return offset === undefined ? [] : [[partition, { offset, epoch: -1 }] as const];
    }),
  );
  return Object.fromEntries(found.flat());
}
