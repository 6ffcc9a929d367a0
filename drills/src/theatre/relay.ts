/** Carries the source's outbox to Kafka, and may die between reading, appending and saving how far it has come. */

import { type Log, OutboxLog, silentTelemetry } from "@onsale/messaging";
import { KafkaCluster, silentKafkaTelemetry, startRelay } from "@onsale/messaging/kafka";
import { openDatabase } from "@onsale/postgres";
import { type Answer, leaseMs, type RelayAssignment, topicPartitions } from "./assignment.ts";
import { faultyOutbox } from "./consumer-faults.ts";
import type { Mortality } from "./kill-points.ts";
import { roleOf } from "./stage.ts";
import type { Work } from "./work.ts";

export function startRelaying(
  { url, kafka, fault }: RelayAssignment,
  mortality: Mortality,
  say: (answer: Answer) => void,
): Work {
  const database = openDatabase({
    ...{ url, schema: "source", role: roleOf("source") },
    ...{ connections: 4, applicationName: "drill relay" },
  });
  const cluster = new KafkaCluster(kafka);
  const sound = new OutboxLog({ database, pollMs: 10 });
  const outbox = mortal(fault === undefined ? sound : faultyOutbox(fault, sound, database), mortality);
  const relay = startRelay({
    ...{ database, cluster, partitions: topicPartitions, leaseMs, outbox },
    telemetry: {
      ...silentTelemetry,
      fenced: () => say({ said: "cut-off" }),
      interrupted({ lane, error }) {
        console.error(`the relay of the ${lane} lane was interrupted: ${error}`);
        say({ said: "cut-off" });
      },
    },
    kafkaTelemetry: {
      ...silentKafkaTelemetry,
      appended: () => mortality.pass("relay.appended"),
      tailLost: ({ topic, why }) => console.error(`${topic} lost its end: ${why}`),
    },
  });
  return {
    async finish() {
      await relay.drain();
      await cluster.close();
      await database.close();
    },
  };
}

/** The same outbox, in which the relay may die when it has read and not appended, and when it has saved its cursor. */
const mortal = (outbox: Log, mortality: Mortality): Log => ({
  slots: (source) => outbox.slots(source),
  cursors: {
    load: (database, feed) => outbox.cursors.load(database, feed),
    report: (database, feed) => outbox.cursors.report(database, feed),
    move(tx, feed, move) {
      tx.afterCommit(() => mortality.pass("relay.saved"));
      return outbox.cursors.move(tx, feed, move);
    },
  },
  open(feed, types) {
    const reader = outbox.open(feed, types);
    return {
      wait: (signal) => reader.wait(signal),
      close: () => reader.close(),
      async read(cursor, limit) {
        const chunk = await reader.read(cursor, limit);
        if (chunk.events.length > 0) mortality.pass("relay.read");
        return chunk;
      },
    };
  },
});
