/** The topics of a service's own outbox: made by us, written down, and never changed in silence. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Database, integer, sql, text } from "@onsale/postgres";
import type { Lane } from "../events/event.ts";
import { type KafkaCluster, KafkaTopicError, type Topic } from "./cluster.ts";
import type { KafkaTelemetry } from "./telemetry.ts";

const writtenDownSql = sql("messaging.kafka-topic", {
  takes: [text],
  gives: { name: text, cluster: text, partitions: integer },
})`
  select name, cluster_id as cluster, partitions from kafka_topic where lane = $1`;

const intendSql = sql("messaging.intend-kafka-topic", { takes: [text, text, text, integer], gives: {} })`
  insert into kafka_topic (lane, name, cluster_id, topic_id, partitions) values ($1, $2, $3, '', $4)
  on conflict (lane) do nothing`;

const writeDownSql = sql("messaging.write-down-kafka-topic", { takes: [text, text], gives: {} })`
  update kafka_topic set topic_id = $2, made_at = clock_timestamp() where lane = $1 and topic_id <> $2`;

interface WrittenDown {
  readonly name: string;
  readonly cluster: string;
  readonly partitions: number;
}

// A broker that answers at all does so within milliseconds; whoever waits here tries again.
const answerWithinMs = 5_000;

/**
 * The topic of a lane, made if there is none.
 * @throws {KafkaTopicError} when it is another one than was written down: of another name, on another cluster, divided into
 * another number of partitions; or when it was there before us.
 */
export async function settleTopic(
  database: Database,
  cluster: KafkaCluster,
  { lane, partitions, telemetry }: { lane: Lane; partitions: number; telemetry: KafkaTelemetry },
): Promise<Topic> {
  const wanted = {
    name: cluster.topicOf(database.home.schema, lane),
    cluster: await cluster.identify(answerWithinMs),
    partitions,
  };
  const found = await cluster.describe(wanted.name);
  // Read after the topic was looked for: another process of ours writes it down before it makes it.
  const [before] = await database.query(writtenDownSql, [lane]);
  if (before) refuseChange(before, wanted);
  else if (found)
    throw new KafkaTopicError(
      `${wanted.name} was on the Kafka cluster before this application: it is somebody else's. Choose another prefix, or delete that topic.`,
    );
  else await database.execute(intendSql, [lane, wanted.name, wanted.cluster, partitions]);
  const topic = found ?? (await make(cluster, { name: wanted.name, partitions, telemetry }));
  if (topic.leaders.length !== partitions)
    throw new KafkaTopicError(
      `${wanted.name} has ${topic.leaders.length} partitions where ${partitions} are expected: keys would change theirs. When it is deleted, it is made again and filled from the outbox.`,
    );
  await database.execute(writeDownSql, [lane, topic.topicId]);
  return topic;
}

function refuseChange(before: WrittenDown, wanted: WrittenDown): void {
  const { name } = before;
  if (before.partitions !== wanted.partitions)
    throw new KafkaTopicError(
      `${name} was made with ${before.partitions} partitions and can't go on with ${wanted.partitions}: keys would change theirs.`,
    );
  if (before.cluster !== wanted.cluster)
    throw new KafkaTopicError(
      `${name} was made on the Kafka cluster ${before.cluster}; at this address is the cluster ${wanted.cluster}.`,
    );
  if (name !== wanted.name)
    throw new KafkaTopicError(
      `Events go to the topic ${name} and can't go on to ${wanted.name}: nobody would read on.`,
    );
}

const lookEveryMs = 100;
// A broker that has just started, and makes all topics of an application at once, took 3 s.
const looksAtNewTopic = 50;

async function make(
  cluster: KafkaCluster,
  { name, partitions, telemetry }: { name: string; partitions: number; telemetry: KafkaTelemetry },
): Promise<Topic> {
  await cluster.make(name, partitions);
  telemetry.topicMade({ topic: name, partitions });
  // Brokers learn of it one after the other, and then who leads which partition.
  for (let looks = 0; looks < looksAtNewTopic; looks++) {
    const topic = await cluster.describe(name);
    if (topic?.leaders.every(({ node }) => node >= 0)) return topic;
    await sleep(lookEveryMs);
  }
  throw new Error(`Kafka does not know ${name} yet, which it has just made.`);
}
