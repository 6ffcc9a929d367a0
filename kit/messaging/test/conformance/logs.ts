/** The logs that must behave alike, each over both readers of an outbox. */

import type { Database } from "@onsale/postgres";
import { type TestKafka, waitFor } from "@onsale/testing";
import type { JoinableLog } from "../../src/consumers/starting-point.ts";
import { KafkaCluster, KafkaLog, type RunningRelay, startRelay, topicPlaces } from "../../src/kafka/index.ts";
import { pauseStreams, type Reset, resumeStreams } from "../../src/operations/index.ts";
import { OutboxLog } from "../../src/outbox/outbox-log.ts";
import { type FeedName, silentTelemetry } from "../../src/telemetry.ts";
import type { OutboxLogTelemetry } from "../../src/wal/wal-telemetry.ts";
import type { Place } from "./house.ts";

export type OutboxReader = "snapshot" | "wal";

export interface LogUnderTest {
  readonly name: string;
  /** Starts what all behaviours share. */
  readonly isThere?: () => Promise<unknown>;
  open(place: Place): Promise<OpenLog>;
}

/** A log over one fresh database. */
export interface OpenLog {
  readonly kind: "postgres" | "kafka";
  /** The readers that the outbox of `alpha` has when `reader` listens. */
  outboxReader(reader: string): { readonly database: Database; readonly name: string };
  /** As a process that hears opens it. */
  forProcess(database: Database, options: ProcessOptions): ProcessLog;
  /** Waits until the outbox's events go on to where this log has them. */
  isFilled(): Promise<unknown>;
  /** From now on nobody reads the outbox; what is published stays there until `goOn`. */
  hold(): Promise<void>;
  goOn(): Promise<void>;
  /** Takes the saved place of a reader back to the beginning, as if it had been lost. */
  rewind(reader: string): Promise<void>;
  /** For a reset: where the topics of `alpha` stood at this moment. Undefined where there are none. */
  topicPlaces(moment: string | undefined): Promise<Reset["topics"]>;
  /** What kept those who move events from doing so, in words. */
  readonly faults: readonly string[];
  close(): Promise<void>;
}

interface ProcessOptions {
  readonly slots: number;
  readonly knows: (type: string) => boolean;
}

export interface ProcessLog {
  readonly log: JoinableLog;
  /** Waits until the outbox is read by the reader that is tested. Only for a process that has the lease. */
  isServed(): Promise<unknown>;
  close(): Promise<void>;
}

/** Divides by 2 and 4, the numbers of slots in behaviours. */
const partitions = 4;

export const postgresLog = (reader: OutboxReader): LogUnderTest => ({
  name: `the PostgreSQL log, its outbox read ${readBy[reader]}`,
  async open(place) {
    const beta = place.open("beta");
    const switched = (work: typeof pauseStreams) => () =>
      beta.transaction((tx) => work(tx, { reader: "beta", operator: "test" }));
    return {
      kind: "postgres",
      faults: [],
      outboxReader: (name) => ({ database: beta, name }),
      forProcess(database, { slots }) {
        const watched = watch(reader);
        const log = new OutboxLog({ database, reader, slots, pollMs: 20, telemetry: watched.telemetry });
        return { log: watched.watching(log), isServed: watched.isServed, close: async () => undefined };
      },
      isFilled: async () => undefined,
      async hold() {
        await switched(pauseStreams)();
        await waitFor(async () => {
          const { rows } = await place.admin.query(
            "select from reader_cursor where reader = 'beta' and owner is not null",
          );
          return rows.length === 0;
        });
      },
      async goOn() {
        await switched(resumeStreams)();
      },
      async rewind(name) {
        await place.admin.query(
          `update reader_cursor set snap = '3:3:', high = 0, at = 0, next_snap = null, next_high = null,
             next_taken_at = null, wal_lsn = null, wal_origin = null where reader = $1`,
          [name],
        );
      },
      topicPlaces: async () => undefined,
      close: async () => undefined,
    };
  },
});

export const kafkaLog = (reader: OutboxReader, kafka: () => Promise<TestKafka>): LogUnderTest => ({
  name: `the Kafka log, its relays reading the outbox ${readBy[reader]}`,
  isThere: kafka,
  async open(place) {
    const alpha = place.open("alpha");
    const cluster = new KafkaCluster(await kafka());
    const faults: string[] = [];
    let relay: RunningRelay;
    let served: () => Promise<unknown>;
    const start = (): void => {
      const watched = watch(reader);
      const outbox = watched.watching(
        new OutboxLog({ database: alpha, reader, pollMs: 20, telemetry: watched.telemetry }),
      );
      const telemetry = {
        ...silentTelemetry,
        interrupted: ({ error }: { error: unknown }) => void faults.push(String(error)),
      };
      relay = startRelay({ database: alpha, cluster, partitions, outbox, leaseMs: 1_000, telemetry });
      served = watched.isServed;
    };
    start();
    return {
      kind: "kafka",
      faults,
      outboxReader: () => ({ database: alpha, name: "relay" }),
      forProcess(database, { slots, knows }) {
        const log = new KafkaLog({ cluster, database, slots, knows, writtenBy: "relay" });
        return { log, isServed: () => served(), close: () => log.close() };
      },
      isFilled: () =>
        waitFor(async () => (await place.admin.query("select from alpha.kafka_topic")).rows.length > 0, {
          what: "the relay's topics",
        }),
      hold: () => relay.drain(),
      goOn: async () => start(),
      async rewind(name) {
        await place.admin.query("update reader_cursor set kafka = null where reader = $1", [name]);
      },
      topicPlaces: (moment) => topicPlaces(cluster, "alpha", moment),
      async close() {
        await relay.drain();
        await cluster.close();
      },
    };
  },
});

const readBy: Readonly<Record<OutboxReader, string>> = {
  snapshot: "by snapshots",
  wal: "from the write-ahead log",
};

/** Watches by which reader the streams that were opened are served. */
function watch(reader: OutboxReader) {
  const opened = new Set<string>();
  const served = new Map<string, OutboxReader>();
  const nameOf = ({ reader: name, lane, slot }: FeedName): string => `${name}/${lane}/${slot}`;
  const telemetry: Partial<OutboxLogTelemetry> = {
    servedBy: (fact) => void served.set(nameOf(fact), fact.by),
  };
  const isServed = (): Promise<unknown> =>
    waitFor(
      () => opened.size > 0 && (reader === "snapshot" || [...opened].every((name) => served.get(name) === "wal")),
      { what: `the ${reader} reader for ${[...opened]}` },
    );
  const watching = (log: JoinableLog): JoinableLog => ({
    slots: (source) => log.slots(source),
    cursors: log.cursors,
    begin: (tx, name, from) => log.begin(tx, name, from),
    open(feed, types) {
      opened.add(nameOf(feed));
      return log.open(feed, types);
    },
  });
  return { telemetry, isServed, watching };
}
