/** Kafka Connect with Debezium's PostgreSQL connector: for whoever wants it in place of the relay, and to be compared with. */

import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, endLeftover, freePorts, startChild } from "@onsale/child-process";
import { fetchJars } from "./jars.ts";
import { requireParts, whatIsMissing } from "./requirements.ts";

export interface ConnectOptions {
  /** Where its settings, its offsets and its own words (`connect.log`) lie. Made when absent; one worker at a time may use it. */
  readonly directory: string;
  /** Where the jars lie, or are fetched to from Maven Central. */
  readonly jars: string;
  /** The broker: `127.0.0.1:PORT`. */
  readonly bootstrap: string;
  /** What it runs, by name. */
  readonly connectors: Readonly<Record<string, Settings>>;
  /** Settings of the worker in place of ours. */
  readonly worker?: Settings;
  /** See `KafkaOptions`. */
  readonly machine?: "quick" | "default";
  /** Default 512. */
  readonly heapMegabytes?: number;
}

export type Settings = Readonly<Record<string, string>>;

export interface ConnectServer extends Child {
  /** Of its HTTP interface. */
  readonly url: string;
}

const parts = ["connect", "debezium"] as const;
const name = "Kafka Connect";

/** What Connect with Debezium needs and this machine lacks, in a sentence; undefined when nothing. */
export const whatConnectLacks = (jars: string): Promise<string | undefined> => whatIsMissing(jars, parts);

// Plugins are looked for, then the connector connects to both sides: 6 s on an idle machine.
const readyWithinMs = 180_000;

/**
 * Starts Kafka Connect in one process (standalone) and resolves when its connectors run. Like the broker it does not
 * outlive its owner; started again in the same directory it goes on where it was.
 * @throws {RealPartMissingError}
 */
export async function startConnect(options: ConnectOptions): Promise<ConnectServer> {
  const directory = resolve(options.directory);
  await requireParts(options.jars, parts);
  const [jars, debezium] = [await fetchJars(options.jars, "connect"), await fetchJars(options.jars, "debezium")];
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await endLeftover({ name, directory });
  const plugins = await linkPlugin(directory, debezium);
  const [port = 0] = await freePorts([0]);
  const url = `http://127.0.0.1:${port}`;
  const files = await writeSettings(directory, { url, plugins, options });
  const { machine = "default", heapMegabytes = 512, connectors } = options;
  const java = await startChild({
    name,
    program: "java",
    directory,
    logFile: join(directory, "connect.log"),
    args: [
      `-Xmx${heapMegabytes}m`,
      ...(machine === "quick" ? ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] : []),
      "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
      ...["-cp", join(jars, "*"), "org.apache.kafka.connect.cli.ConnectStandalone", ...files],
    ],
    untilReady: (_log, stop) => untilRunning(url, Object.keys(connectors), stop),
    readyWithinMs,
  });
  return { ...java, url };
}

/** A folder with one plugin in it: each folder of the plugin path is loaded apart, with all of its jars together. */
async function linkPlugin(directory: string, debezium: string): Promise<string> {
  const plugins = join(directory, "plugins");
  await rm(plugins, { recursive: true, force: true });
  await mkdir(plugins);
  await symlink(debezium, join(plugins, "debezium"));
  return plugins;
}

/** The worker's file first, as its command line wants it. They hold the database's password. */
async function writeSettings(
  directory: string,
  { url, plugins, options }: { url: string; plugins: string; options: ConnectOptions },
): Promise<string[]> {
  const worker: Settings = {
    "bootstrap.servers": options.bootstrap,
    listeners: url,
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    "offset.storage.file.filename": join(directory, "offsets"),
    "plugin.path": plugins,
    "plugin.discovery": "service_load",
    ...options.worker,
  };
  const connectors = Object.entries(options.connectors).map(([connector, settings]) => ({
    name: connector,
    ...settings,
  }));
  const files = [worker, ...connectors].map((settings, index) => ({
    path: join(directory, index === 0 ? "worker.properties" : `connector-${index}.properties`),
    text: Object.entries(settings).map(propertyLine).join(""),
  }));
  for (const { path, text } of files) await writeFile(path, text, { mode: 0o600 });
  return files.map(({ path }) => path);
}

/** In Java's format of properties a backslash in the value is doubled; our values have no line breaks. */
const propertyLine = ([key, value]: readonly [string, string]): string => `${key}=${value.replaceAll("\\", "\\\\")}\n`;

const lookEveryMs = 50;

interface ConnectorStatus {
  readonly connector: { readonly state: string; readonly trace?: string };
  readonly tasks: readonly { readonly state: string; readonly trace?: string }[];
}

async function untilRunning(url: string, connectors: readonly string[], stop: AbortSignal): Promise<void> {
  for (const connector of connectors) {
    while (!stop.aborted && !(await isRunning(`${url}/connectors/${connector}/status`))) await sleep(lookEveryMs);
  }
}

async function isRunning(url: string): Promise<boolean> {
  const answer = await fetch(url).catch(() => undefined);
  if (!answer?.ok) return false;
  const { connector, tasks } = (await answer.json()) as ConnectorStatus;
  const failed = [connector, ...tasks].find(({ state }) => state === "FAILED");
  if (failed) throw new Error(`a connector failed: ${failed.trace?.split("\n")[0] ?? "it does not say why"}`);
  return connector.state === "RUNNING" && tasks.length > 0 && tasks.every(({ state }) => state === "RUNNING");
}

export interface OutboxConnector {
  /** `postgres://user:password@host:port/database`, of a user who may replicate and make publications. */
  readonly databaseUrl: string;
  /** Whose outbox is read: the schema, which is also the events' source. */
  readonly source: string;
  readonly lane: "online" | "bulk";
  /** Where the events go. It exists. */
  readonly topic: string;
  /** Settings of the connector in place of ours. */
  readonly settings?: Settings;
}

/**
 * Debezium's outbox event router over an outbox as it is: what our own relay would write, by settings alone. A row's
 * columns become CloudEvents headers, what is the same for all of them is added.
 */
export function outboxConnector({ databaseUrl, source, lane, topic, settings = {} }: OutboxConnector): Settings {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const table = `outbox_${lane}`;
  const slot = `debezium_${source.replace(/\W/g, "_")}_${lane}`;
  return {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "database.hostname": hostname,
    "database.port": port,
    "database.user": decodeURIComponent(username),
    "database.password": decodeURIComponent(password),
    "database.dbname": pathname.slice(1),
    "topic.prefix": slot,
    "plugin.name": "pgoutput",
    "slot.name": slot,
    "publication.name": slot,
    "publication.autocreate.mode": "filtered",
    // Partitions come and go; the publication speaks of the whole.
    "publish.via.partition.root": "true",
    "table.include.list": `${source}.${table}`,
    "snapshot.mode": "no_data",
    // With these our own readers mark places in the log. Passed on they would need a topic, and wait for it for ever.
    "message.prefix.exclude.list": "onsale",
    ...cloudEventHeaders({ source, lane }),
    "transforms.outbox.route.topic.replacement": topic,
    ...settings,
  };
}

/** Columns that vary, as headers; the whole column `headers`, which holds the cause, is one header. */
const columnsAsHeaders = {
  id: "ce_id",
  type: "ce_type",
  aggregateid: "ce_key",
  sequence: "ce_sequence",
  incarnation: "ce_incarnation",
  created_at: "ce_time",
  headers: "headers",
};

function cloudEventHeaders({ source, lane }: { source: string; lane: string }): Settings {
  const placements = Object.entries(columnsAsHeaders).map(([column, header]) => `${column}:header:${header}`);
  return {
    transforms: "outbox,constants",
    "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
    "transforms.outbox.table.expand.json.payload": "true",
    "transforms.outbox.table.fields.additional.placement": placements.join(),
    // Attributes in one header, as the column `headers` has them too. In a header of its own each would be guessed at, and
    // 1.0 would become the number 1.
    "transforms.constants.type": "org.apache.kafka.connect.transforms.InsertHeader",
    "transforms.constants.header": "headers",
    "transforms.constants.value.literal": JSON.stringify({ specversion: "1.0", source, lane }),
  };
}
