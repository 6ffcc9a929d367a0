/** The processes that a shop starts and keeps: PostgreSQL, the payment provider, and Kafka and Redis where they were asked for. */

import { join } from "node:path";
import type { EmbeddedPostgres } from "@onsale/postgres";
import type { Lifecycle, Logger } from "@onsale/runtime";
import type { DataFolder } from "./data-folder.ts";
import { jarsFolder } from "./event-log-choice.ts";
import { choosePort, onFreePort } from "./ports.ts";
import { endProcess, markOf, ownMark, type ProcessMark, send } from "./process-mark.ts";
import { type ServerFile, writeServerFile } from "./server-file.ts";
import { type Child, supervise } from "./supervise.ts";

/** What the parts of one shop share while they start. */
export interface Frame {
  readonly life: Lifecycle;
  readonly logger: Logger;
  /** What ends a child at once, for each that was started. */
  readonly killers: (() => void)[];
  readonly say: (words: string) => void;
}

// The embedded server's own bound, and some.
const postgresStopMs = 27_000;
const providerStopMs = 12_000;
// Both are killed after 15 s.
const kafkaStopMs = 18_000;
const redisStopMs = 18_000;

/** Where a card provider keeps its books, and what merchant and provider share; see the provider's own words on it. */
export interface ProviderFiles {
  /** As payments are stored with it: it never changes. */
  readonly name: string;
  readonly directory: string;
  readonly secretFile: string;
}

/** New payments go to the first, until the anomaly rule or an operator chooses the other. */
export const providerFiles = ({ provider, secrets }: Pick<DataFolder, "provider" | "secrets">): ProviderFiles[] => [
  { name: "card-a", directory: provider, secretFile: join(secrets, "provider.json") },
  { name: "card-b", directory: join(provider, "card-b"), secretFile: join(secrets, "provider-b.json") },
];

/** The children of a server that was killed. PostgreSQL's are found by the embedded server itself, from its own files. */
export async function endOrphans(before: ServerFile | undefined): Promise<void> {
  await Promise.all([
    before?.provider && endProcess(before.provider, { signal: "SIGTERM", withinMs: providerStopMs }),
    before?.kafkaBroker && endProcess(before.kafkaBroker, { signal: "SIGTERM", withinMs: kafkaStopMs }),
    before?.redisServer && endProcess(before.redisServer, { signal: "SIGTERM", withinMs: redisStopMs }),
  ]);
}

export type Tell = (change: Partial<ServerFile>) => void;

/** Keeps the server file up to date, one fact after the other. */
export function teller(data: DataFolder, verb: string): Tell {
  let told: ServerFile = { server: ownMark(), since: new Date().toISOString(), verb };
  const tell: Tell = (change) => {
    told = { ...told, ...change };
    writeServerFile(data, told);
  };
  tell({});
  return tell;
}

/** Starts PostgreSQL and keeps it running. `url` is for every program, `localUrl` for this one. */
export async function startPostgres(
  { life, logger, killers, say }: Frame,
  data: DataFolder,
  tell: Tell,
): Promise<Pick<EmbeddedPostgres, "url" | "localUrl">> {
  const { startEmbeddedPostgres } = await import("@onsale/postgres");
  const tellProcess = (server: EmbeddedPostgres): void => {
    const postgres = markOf(server.pid);
    if (postgres) tell({ postgres });
  };
  const running = await life.start("PostgreSQL", {
    start: async () => {
      const server = await startEmbeddedPostgres({
        directory: data.postgres,
        onIncident(what) {
          logger.error({ what }, "PostgreSQL had an incident");
          say(what);
          tellProcess(server);
        },
      });
      return server;
    },
    stop: (server) => server.stop(),
    stopWithinMs: postgresStopMs,
  });
  tellProcess(running);
  // Its immediate shutdown: the next start recovers from the log.
  killers.push(() => signalNow(running.pid, "SIGQUIT"));
  return running;
}

function signalNow(pid: number, signal: NodeJS.Signals): void {
  const mark = markOf(pid);
  if (mark) send(mark, signal);
}

/**
 * Starts the payment providers and keeps them running, at one address each as long as the shop is open. They share a
 * process: a second one would cost some 50 MB for books that are mostly empty.
 */
export async function startProviders(
  { life, killers, say }: Frame,
  data: DataFolder,
  { tell, lastPorts }: { readonly tell: Tell; readonly lastPorts: readonly (number | undefined)[] },
) {
  const { ensureSecrets, startProviders: start } = await import("@onsale/provider-sim");
  const files = providerFiles(data);
  const secrets = await Promise.all(files.map(({ secretFile }) => ensureSecrets(secretFile)));
  const logFile = join(data.provider, "provider.log");
  const [firstPort, ...otherPorts] = lastPorts;
  const keep = async (first: number) => {
    const ports = [first, ...(await Promise.all(files.slice(1).map((_, index) => choosePort([otherPorts[index]]))))];
    return await supervise({
      name: "The payment provider",
      start: () => start({ books: files.map((it, index) => ({ ...it, port: ports[index] ?? 0 })), logFile }),
      onStarted: (mark) => tell({ provider: mark }),
      say,
    });
  };
  const supervised = await life.start("provider", {
    start: () => onFreePort({ oneOf: [firstPort] }, keep),
    stop: (running) => running.stop(),
    stopWithinMs: providerStopMs,
  });
  killers.push(() => supervised.signal("SIGKILL"));
  return files.map(({ name }, index) => ({
    name,
    url: supervised.first.urls[index] ?? "",
    apiSecret: secrets[index]?.apiSecret ?? "",
    webhookSecret: secrets[index]?.webhookSecret ?? "",
  }));
}

/** Starts a Kafka broker and keeps it running, at one address as long as the shop is open. Gives `host:port`. */
export async function startKafka(frame: Frame, { kafka: directory }: DataFolder, tell: Tell): Promise<string> {
  const { startKafka: start } = await import("@onsale/kafka-server");
  const { bootstrap } = await startAtOnePort(frame, {
    name: "Kafka",
    start: (port) => start({ directory, jars: jarsFolder, ...port }),
    onStarted: (mark) => tell({ kafkaBroker: mark }),
    stopWithinMs: kafkaStopMs,
  });
  return bootstrap;
}

/** Starts a Redis and keeps it running, at one address as long as the shop is open. It comes back empty: what it had is rebuilt. */
export async function startRedis(frame: Frame, { redis: directory }: DataFolder, tell: Tell): Promise<string> {
  const { startRedis: start } = await import("@onsale/redis/server");
  const { url } = await startAtOnePort(frame, {
    name: "Redis",
    start: (port) => start({ directory, ...port }),
    onStarted: (mark) => tell({ redisServer: mark }),
    stopWithinMs: redisStopMs,
  });
  return url;
}

interface ServerAtPort<Server extends Child> {
  readonly name: string;
  /** Chooses a port where none is given. */
  readonly start: (at: { readonly port?: number }) => Promise<Server>;
  readonly onStarted: (mark: ProcessMark) => void;
  readonly stopWithinMs: number;
}

/** The first start chooses the port, a later one has to come up there again. Gives the server as it was first started. */
async function startAtOnePort<Server extends Child & { readonly port: number }>(
  { life, killers, say }: Frame,
  { name, start, onStarted, stopWithinMs }: ServerAtPort<Server>,
): Promise<Server> {
  let at: { readonly port?: number } = {};
  const supervised = await life.start(name, {
    start: () => supervise({ name, start: () => start(at), onStarted, say }),
    stop: (running) => running.stop(),
    stopWithinMs,
  });
  const { first } = supervised;
  at = { port: first.port };
  killers.push(() => supervised.signal("SIGKILL"));
  return first;
}

// Nothing is under way in it that anybody waits for.
const sinkStopMs = 2_000;

/** Starts the sink in this process: what it has caught is for a look and ends with it. */
export async function startSink({ life }: Frame) {
  const { startMessageSink } = await import("@onsale/message-sink");
  return await life.start("message sink", {
    start: () => startMessageSink(),
    stop: (sink) => sink.stop(),
    stopWithinMs: sinkStopMs,
  });
}
