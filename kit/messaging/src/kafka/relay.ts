import { randomUUID } from "node:crypto";
import { bigint, composedSql, type Database, double, instant, nullable, sql, text } from "@onsale/postgres";
import { LaneGate } from "../consumers/lane-gate.ts";
import { defaultRetry } from "../consumers/parking.ts";
import { lanes as bothLanes, type Lane } from "../events/event.ts";
import type { Log } from "../log.ts";
import { OutboxLog } from "../outbox/outbox-log.ts";
import { type MessagingTelemetry, silentTelemetry } from "../telemetry.ts";
import type { KafkaCluster } from "./cluster.ts";
import { RelayFeed } from "./relay-feed.ts";
import { type KafkaTelemetry, silentKafkaTelemetry } from "./telemetry.ts";

/** As many processes can share the work of one consumer; and few enough that a request to the broker is a large one. */
export const defaultPartitions = 8;

/** Time to append what is under way when it is time to stop: a broker that is away may not hold up the stop for longer. */
const stopWithinMs = 3_000;

/** The reader's name of a relay in its own outbox. */
export const relayReader = "relay";

export interface RelayOptions {
  /** Of the service whose outbox is relayed; its schema is the events' source. */
  readonly database: Database;
  readonly cluster: KafkaCluster;
  /** Partitions of each lane's topic. Written down when the topic is made; with another number the relay refuses to go on. Default 8. */
  readonly partitions?: number;
  /** The lanes that the service's events may use. One that none may use needs no topic. Default: both. */
  readonly lanes?: readonly Lane[];
  /** How the outbox is read, and by how many shards (`slots`), a divisor of `partitions`. Default: by snapshots, by one. */
  readonly outbox?: Log;
  readonly telemetry?: MessagingTelemetry;
  readonly kafkaTelemetry?: KafkaTelemetry;
  /** Milliseconds after which another process may take over. */
  readonly leaseMs?: number;
}

/** What of an outbox has not been relayed yet. It lies in the outbox: its bound is the database's disk. */
export interface Backlog {
  readonly lane: Lane;
  /** Positions not yet passed; those of transactions that were rolled back are among them. */
  readonly events: number;
  /** Age of the oldest event that was not relayed, in milliseconds; 0 when there is none. */
  readonly oldestAgeMs: number;
}

export interface RunningRelay {
  backlog(): Promise<readonly Backlog[]>;
  /** Appends what is under way, saves how far it has come, and gives the leases back. */
  drain(): Promise<void>;
}

/** Appends everything that a service publishes to its topics, until drained. It never makes whoever publishes wait. */
export function startRelay(options: RelayOptions): RunningRelay {
  const { database, partitions = defaultPartitions, outbox = new OutboxLog({ database }), lanes = bothLanes } = options;
  const source = database.home.schema;
  const shards = outbox.slots(source);
  if (partitions % shards !== 0)
    throw new Error(`${partitions} partitions can't be shared evenly by ${shards} relays.`);
  const stop = new AbortController();
  // Never asked: a relay's lanes share neither a connection nor a request.
  const gate = new LaneGate();
  const owner = `${relayReader}/${process.pid}/${randomUUID()}`;
  const feeds = lanes.flatMap((lane) =>
    Array.from(
      { length: shards },
      (_, slot) =>
        new RelayFeed({
          name: { reader: relayReader, source, lane, slot },
          database,
          owner,
          outbox,
          cluster: options.cluster,
          partitions,
          telemetry: options.telemetry ?? silentTelemetry,
          kafkaTelemetry: options.kafkaTelemetry ?? silentKafkaTelemetry,
          gate,
          retry: defaultRetry,
          leaseMs: options.leaseMs ?? 3_000,
        }),
    ),
  );
  const abandon = new AbortController();
  const runs = Promise.all(feeds.map((feed) => feed.run(stop.signal, abandon.signal)));
  return {
    backlog: () => Promise.all(lanes.map((lane) => backlogOf(database, lane))),
    async drain() {
      stop.abort();
      const late = setTimeout(() => abandon.abort(), stopWithinMs);
      await runs;
      clearTimeout(late);
    },
  };
}

const passedSql = sql("messaging.relay-position", { takes: [text, text], gives: { passed: nullable(bigint) } })`
  select min(greatest(at, high)) as passed from reader_cursor where reader = $1 and lane = $2`;

const restSql = (lane: Lane) =>
  composedSql(`messaging.relay-backlog-${lane}`, {
    takes: [bigint],
    gives: { last: nullable(bigint), oldest: nullable(instant), oldestAgeMs: nullable(double) },
    text: `
      select (select position from outbox_${lane} order by position desc limit 1) as last, oldest.created_at as oldest,
        extract(epoch from clock_timestamp() - oldest.created_at)::float8 * 1000 as "oldestAgeMs"
      from (select) as one
      left join lateral (
        select created_at from outbox_${lane} where position > $1 order by position limit 1
      ) as oldest on true`,
  });

const restOf = { online: restSql("online"), bulk: restSql("bulk") };

async function backlogOf(database: Database, lane: Lane): Promise<Backlog> {
  const [relay] = await database.query(passedSql, [relayReader, lane]);
  const passed = relay?.passed ?? 0;
  const [row] = await database.query(restOf[lane], [passed]);
  return {
    lane,
    events: Math.max(0, (row?.last ?? 0) - passed),
    oldestAgeMs: Math.max(0, row?.oldestAgeMs ?? 0),
  };
}
