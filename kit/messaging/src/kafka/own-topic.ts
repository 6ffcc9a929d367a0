/** The topics of a service's own outbox: made by us, written down, and never changed in silence. */

import { type Database, integer, sql, text } from "@onsale/postgres";
import type { Lane } from "../event.ts";
import { type KafkaCluster, KafkaTopicError, type Topic } from "./cluster.ts";
import type { KafkaTelemetry } from "./telemetry.ts";

const writtenDownSql = sql("messaging.kafka-topic", {
  takes: [text],
  gives: { name: text, cluster: text, topic: text, partitions: integer },
})`
  select name, cluster_id as cluster, topic_id as topic, partitions from kafka_topic where lane = $1`;

const writeDownSql = sql("messaging.write-down-kafka-topic", { takes: [text, text, text, text, integer], gives: {} })`
  insert into kafka_topic (lane, name, cluster_id, topic_id, partitions) values ($1, $2, $3, $4, $5)
  on conflict (lane) do update set topic_id = excluded.topic_id, made_at = clock_timestamp()
  where kafka_topic.topic_id <> excluded.topic_id`;

/**
 * The topic of a lane, made if there is none.
 * @throws {KafkaTopicError} when it is on another cluster, or divided into another number of partitions, than was written down.
 */
export async function settleTopic(
  database: Database,
  cluster: KafkaCluster,
  { lane, partitions, telemetry }: { lane: Lane; partitions: number; telemetry: KafkaTelemetry },
): Promise<Topic> {
  const name = cluster.topicOf(database.home.schema, lane);
  const [before] = await database.query(writtenDownSql, [lane]);
  if (before && before.partitions !== partitions)
    throw new KafkaTopicError(
      `${name} was made with ${before.partitions} partitions and can't go on with ${partitions}: keys would change theirs.`,
    );
  const topic = (await cluster.describe(name)) ?? (await make(cluster, { name, partitions, telemetry }));
  if (before && before.cluster !== topic.clusterId)
    throw new KafkaTopicError(
      `${name} was made on the Kafka cluster ${before.cluster}; at this address is the cluster ${topic.clusterId}.`,
    );
  if (topic.leaders.length !== partitions)
    throw new KafkaTopicError(
      `${name} has ${topic.leaders.length} partitions where ${partitions} are expected: keys would change theirs.`,
    );
  await database.execute(writeDownSql, [lane, name, topic.clusterId, topic.topicId, partitions]);
  return topic;
}

async function make(
  cluster: KafkaCluster,
  { name, partitions, telemetry }: { name: string; partitions: number; telemetry: KafkaTelemetry },
): Promise<Topic> {
  await cluster.make(name, partitions);
  telemetry.topicMade({ topic: name, partitions });
  const topic = await cluster.describe(name);
  // Brokers learn of it one after the other.
  if (!topic) throw new Error(`Kafka does not know ${name} yet, which it has just made.`);
  return topic;
}
