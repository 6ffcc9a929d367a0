/** Which log the readers and the outbox of a schema began on. They can't change it: each log counts in words of its own. */

import { boolean, type Database, nullable, sql, text } from "@onsale/postgres";
import type { Lane } from "../events/event.ts";

/** Progress that began on one log can't be told in the words of another. */
export class OtherLogError extends Error {
  override readonly name = "OtherLogError";
}

const begunSql = sql("messaging.begun-log", {
  takes: [],
  gives: { readsOutboxes: boolean, topic: nullable(text), cluster: nullable(text), lane: nullable(text) },
})`
  select exists (
      select from reader_cursor where reader <> 'relay' and kafka is null and snap::text <> '3:3:'
    ) as "readsOutboxes",
    topic.name as topic, topic.cluster_id as cluster, topic.lane
  from (select) as always left join (select name, cluster_id, lane from kafka_topic order by lane limit 1) as topic on true`;

export interface BegunLog {
  /** Consumers of this schema have read outboxes. */
  readonly readsOutboxes: boolean;
  /** Its own events go to Kafka. */
  readonly topic?: { readonly name: string; readonly cluster: string; readonly lane: Lane };
}

export async function begunLog(database: Database): Promise<BegunLog> {
  const [row] = await database.query(begunSql, []);
  if (!row) throw new Error("The begun log gave no row.");
  const { readsOutboxes, topic: name, cluster, lane } = row;
  if (name === null || cluster === null) return { readsOutboxes };
  return { readsOutboxes, topic: { name, cluster, lane: lane === "bulk" ? "bulk" : "online" } };
}

/** What a process is about to use. Absent: the outboxes. */
export interface LogChoice {
  /** Its id, as `KafkaCluster.identify` gives it. */
  readonly cluster: string;
  readonly topicOf: (source: string, lane: Lane) => string;
}

/** Why a schema that began so can't go on with this choice, for a person; undefined when it can. */
export function whyOtherLog(schema: string, begun: BegunLog, choice: LogChoice | undefined): string | undefined {
  const { readsOutboxes, topic } = begun;
  if (choice === undefined)
    return topic && `The events of ${schema} go through Kafka (topic ${topic.name}) and can't go on without it.`;
  if (readsOutboxes) return `The data of ${schema} was begun without Kafka: its consumers would read everything again.`;
  if (topic === undefined) return undefined;
  if (topic.cluster !== choice.cluster)
    return `The events of ${schema} are on the Kafka cluster ${topic.cluster}; at this address is the cluster ${choice.cluster}.`;
  const name = choice.topicOf(schema, topic.lane);
  return topic.name === name
    ? undefined
    : `The events of ${schema} go to the topic ${topic.name} and can't go on in ${name}.`;
}
