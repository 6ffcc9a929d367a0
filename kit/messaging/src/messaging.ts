/** Everything that an application needs of this package, opened as one. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Database, integer, type MigrationSet, migrate, openDatabase, sql } from "@onsale/postgres";
import type { BasePorts, Consumer } from "./consumers/consumer.ts";
import { type FeedsOptions, type RunningFeeds, startFeeds } from "./consumers/feeds.ts";
import type { OutgoingEvent } from "./events/event.ts";
import { ring } from "./outbox/doorbell.ts";
import { OutboxLog, type OutboxLogOptions } from "./outbox/outbox-log.ts";
import { publishWith, type SqlClient } from "./outbox/publish-with.ts";
import { type OutboxChore, outboxUpkeep } from "./outbox/upkeep.ts";
import { type MessagingTelemetry, silentTelemetry } from "./telemetry.ts";
import { type OutboxLogTelemetry, silentLogTelemetry } from "./wal/wal-telemetry.ts";

export interface MessagingOptions {
  /** `postgres://user:password@host:port/database`, of a user who may act as `role`. */
  readonly url: string;
  /** Where outbox and consumers have their tables; made when absent. Also the name under which its events are heard. */
  readonly schema: string;
  /** The role that consumers act under. It is made when absent, and may use nothing but `schema`. Default: `<schema>_app`. */
  readonly role?: string;
  /** A user who may make schemas and roles; only the migration at the start uses it. Default: `url`. */
  readonly adminUrl?: string;
  /** The application's own migrations of `schema`: a folder of `0001-name.sql` and so on, applied after ours. */
  readonly migrations?: URL;
  /**
   * How the outbox is read. `snapshot` (default): by SQL. `wal`: from the write-ahead log, sooner and without polling, where
   * the server has `wal_level=logical` and the user of `url` the right to replicate; otherwise by SQL all the same. It may be
   * another one at every start.
   */
  readonly reader?: OutboxLogOptions["reader"];
  /** Connections for consumers' transactions. Default 4. */
  readonly connections?: number;
  /** Seconds that events are kept after every reader has passed them. Default: seven days. */
  readonly keepSeconds?: number;
  /** What is told beyond the default, which tells of faults as process warnings. */
  readonly telemetry?: Partial<ApplicationTelemetry>;
}

export interface ApplicationTelemetry extends MessagingTelemetry, OutboxLogTelemetry {
  /** A chore of the outbox failed and will be tried again. Partitions for some minutes of events lie ready. */
  upkeepFailed(fact: { source: string; chore: OutboxChore["name"]; error: unknown }): void;
}

/** What else `startFeeds` can be told; everything has a default. */
export type ConsumeOptions = Partial<Omit<FeedsOptions<BasePorts>, "consumers" | "database" | "ports" | "telemetry">>;

export interface Messaging {
  /** For transactions through this package: `messaging.database.transaction((tx) => publish(tx, events))`. */
  readonly database: Database;
  /** Publishes in the transaction that the application opened on `client`, beside the change that makes the events true. */
  publish(client: SqlClient, events: readonly OutgoingEvent[]): Promise<void>;
  /** Runs these consumers until they are drained or the messaging is closed. */
  consume(consumers: readonly Consumer[], options?: ConsumeOptions): RunningFeeds;
  /** Wakes this process's consumers: after a COMMIT that published, it saves the wait for the next look. Never needed. */
  wake(): void;
  /** Finishes what is under way, gives leases back, and closes every connection. */
  close(): Promise<void>;
}

/** Brings `schema` up to date, then opens it. Needs PostgreSQL 18, and says so where it finds another. */
export async function openMessaging(options: MessagingOptions): Promise<Messaging> {
  const {
    url,
    schema,
    role = `${schema}_app`,
    adminUrl = url,
    reader = "snapshot",
    connections = 4,
    keepSeconds,
  } = options;
  const telemetry = { ...warnings, ...options.telemetry };
  await requireServer(adminUrl);
  await migrate({ adminUrl, schema, role, sets: migrationSetsOf(options) });
  const database = openDatabase({ url, schema, role, connections, applicationName: `${schema} messaging` });
  const upkeep = startUpkeep(database, telemetry, keepSeconds);
  const log = new OutboxLog({ database, reader, telemetry });
  const feeds: RunningFeeds[] = [];
  return {
    database,
    publish: (client, events) => publishWith(client, schema, events),
    consume(consumers, further) {
      const running = startFeeds({
        service: schema,
        sourceOf: () => schema,
        log,
        ...further,
        database,
        consumers,
        ports,
        telemetry,
      });
      feeds.push(running);
      return running;
    },
    wake: () => ring(database.home),
    async close() {
      await Promise.all([...feeds.map((running) => running.drain()), upkeep.drain()]);
      await database.close();
    },
  };
}

/** The tables of outbox and readers, to be migrated into the schema of every service. */
export const migrations: MigrationSet = { owner: "messaging", directory: new URL("../migrations/", import.meta.url) };

const migrationSetsOf = ({ schema, migrations: own }: MessagingOptions): MigrationSet[] => [
  migrations,
  ...(own ? [{ owner: schema, directory: own }] : []),
];

const ports = { clock: { now: () => new Date().toISOString() }, ids: { uuid: randomUUID } };

// `returning old.*` tells what the inbox held before; older servers do not know it.
const oldestServer = 180_000;

const serverVersionSql = sql("messaging.server-version", { takes: [], gives: { version: integer } })`
  select current_setting('server_version_num')::int4 as version`;

async function requireServer(url: string): Promise<void> {
  const database = openDatabase({ url, connections: 1, applicationName: "messaging version" });
  try {
    const [row] = await database.query(serverVersionSql, []);
    if (row && row.version < oldestServer)
      throw new Error(`PostgreSQL 18 is needed; this server says that it is ${row.version}.`);
  } finally {
    await database.close();
  }
}

function startUpkeep(database: Database, telemetry: ApplicationTelemetry, keepSeconds: number | undefined) {
  const stop = new AbortController();
  const chores = outboxUpkeep(database, keepSeconds === undefined ? {} : { keepSeconds });
  const failed = ({ name }: OutboxChore, error: unknown): void =>
    telemetry.upkeepFailed({ source: database.home.schema, chore: name, error });
  const loops = chores.map((chore) => repeat(chore, stop.signal, (error) => failed(chore, error)));
  return {
    async drain(): Promise<void> {
      stop.abort();
      await Promise.all(loops);
    },
  };
}

async function repeat(chore: OutboxChore, signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
  while (!signal.aborted) {
    try {
      await chore.run();
    } catch (error) {
      failed(error);
    }
    // The timer holds nothing open: upkeep ends with its process.
    await sleep(chore.everyMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** Node prints a warning on standard error, and an application can listen to them. */
const warn = (what: string, error: unknown): void => {
  const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  process.emitWarning(`${what}: ${why}`, { type: "MessagingWarning" });
};

const warnings: ApplicationTelemetry = {
  ...silentTelemetry,
  ...silentLogTelemetry,
  keyParked: ({ reader, type, error }) => warn(`${reader} could not take ${type} and will try again`, error),
  keyDead: ({ reader, type, error }) => warn(`${reader} gave up on ${type}: a person has to look`, error),
  toldAnew: ({ reader, source, key, had, tellsFrom }) =>
    warn(
      `${reader} had heard of ${key} up to ${had}`,
      `${source} was restored and tells anew from ${tellsFrom}: what was acted on in between it does not know`,
    ),
  passedOver: ({ reader, source, type, key, sequence, had }) =>
    warn(
      `${reader} set ${type} of ${key} aside`,
      `its sequence ${sequence} passes for had, since ${had} was, but ${source} told it later than that one`,
    ),
  interrupted: ({ reader, source, error }) => warn(`${reader} stopped reading ${source} and will try again`, error),
  slotTrouble: ({ reader, slotName, trouble, error }) =>
    warn(`${reader} reads the table, because its replication slot ${slotName} is ${trouble}`, error),
  upkeepFailed: ({ source, chore, error }) => warn(`${chore} of ${source} failed and will be tried again`, error),
};
