/** The events of a server through Kafka: relays fill topics from the outboxes, consumers read topics. */

import { eventsByOwner } from "@onsale/contracts/events";
import { type EventDefinition, lanes } from "@onsale/messaging";
import {
  begunLog,
  KafkaCluster,
  KafkaLog,
  OtherLogError,
  type RunningRelay,
  startRelay,
  topicPlaces,
  whyOtherLog,
} from "@onsale/messaging/kafka";
import type { Database } from "@onsale/postgres";
import { kafkaTelemetry, messagingTelemetry } from "./telemetry.ts";

export interface KafkaChoice {
  /** `host:port` of a broker, or of several with commas between. */
  readonly bootstrap: string;
  /** Stands before the name of every topic. Default `onsale.`. */
  readonly prefix?: string;
}

interface NamedDatabase {
  readonly name: string;
  readonly database: Database;
}

// A broker on another continent answers within a second; one that starts just now is to be waited for by whoever starts both.
const answerWithinMs = 10_000;
// Of the 2.5 s in which a request is answered.
const requestAnswerMs = 1_000;

/** Connects to Kafka and makes sure that it is the one that these services' events are on. */
export async function connectKafka(choice: KafkaChoice, services: readonly NamedDatabase[]): Promise<ServerKafka> {
  const cluster = new KafkaCluster(choice);
  try {
    const id = await cluster.identify(answerWithinMs);
    await refuseOtherLog(services, { cluster: id, topicOf: cluster.topicOf });
    return new ServerKafka(cluster);
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** @throws {OtherLogError} when one of the services began on another log than this; absent: the outboxes. */
export async function refuseOtherLog(
  services: readonly NamedDatabase[],
  choice?: Parameters<typeof whyOtherLog>[2],
): Promise<void> {
  const begun = await Promise.all(services.map(({ database }) => begunLog(database)));
  for (const [index, { name }] of services.entries()) {
    const why = begun[index] && whyOtherLog(name, begun[index], choice);
    if (why !== undefined) throw new OtherLogError(why);
  }
}

const eventsOf = (service: string): readonly EventDefinition[] =>
  Object.entries(eventsByOwner).find(([owner]) => owner === service)?.[1] ?? [];

const knownTypes = new Set(Object.values(eventsByOwner).flatMap((events) => events.map(({ type }) => type)));

/** One cluster for all services of a server. */
export class ServerKafka {
  readonly #cluster: KafkaCluster;

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster;
  }

  /** What a service's consumers read from. Closed by whoever asked, after its feeds. */
  openLog(database: Database): KafkaLog {
    return new KafkaLog({
      cluster: this.#cluster,
      database,
      knows: (type) => knownTypes.has(type),
      writtenBy: "relay",
      telemetry: kafkaTelemetry,
    });
  }

  /** Sends what a service publishes to its topics. Of several processes, one at a time does it. */
  startRelay(database: Database): RunningRelay {
    const own = lanes.filter((lane) => eventsOf(database.home.schema).some((event) => event.lanes[lane]));
    return startRelay({ database, cluster: this.#cluster, lanes: own, telemetry: messagingTelemetry, kafkaTelemetry });
  }

  /** Asks a broker for a word. Rejects when none answers. */
  async ask(): Promise<void> {
    await this.#cluster.identify(answerWithinMs);
  }

  /**
   * Where the topics of a source stood at a moment; undefined: their beginning.
   * @throws {KafkaUnreachableError}
   */
  async topicPlaces(source: string, moment: string | undefined): ReturnType<typeof topicPlaces> {
    // Before the look itself, whose own tries would outlast the request.
    await this.#cluster.identify(requestAnswerMs);
    return await topicPlaces(this.#cluster, source, moment);
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }
}
