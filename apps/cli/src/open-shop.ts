import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import type { EmbeddedPostgres } from "@onsale/postgres";
import {
  Lifecycle,
  type Logger,
  type OpenLogger,
  openLogger,
  type RunningWork,
  shownConfiguration,
  startRecurringWork,
} from "@onsale/runtime";
import { version } from "./checkout.ts";
import { type Configuration, specification } from "./configuration.ts";
import { type DataFolder, makeDataFolder } from "./data-folder.ts";
import { keepDatabaseChoice } from "./database-choice.ts";
import { DataHeldError, type Hold, takeData } from "./holders.ts";
import { type OperatorLogIn, settleOperator } from "./operator.ts";
import { choosePort, isFree, readPorts, writePorts } from "./ports.ts";
import { endProcess, markOf, ownMark, send } from "./process-mark.ts";
import { readServerFile, type ServerFile, writeServerFile } from "./server-file.ts";
import { supervise } from "./supervise.ts";

/** A shop that runs: PostgreSQL and the payment provider as children, the services in this process. */
export interface OpenShop {
  readonly url: string;
  readonly databaseUrl: string;
  readonly providerUrl: string;
  /** What the merchant proves itself with to the provider. */
  readonly providerSecret: string;
  readonly operator: OperatorLogIn;
  /** Takes no new requests, finishes what is under way, and ends the children, each within a bound. */
  close(reason: string): Promise<void>;
  /** Ends the children at once. The data stays good: the next start recovers. */
  abandon(): void;
}

export interface OpenShopOptions {
  readonly data: DataFolder;
  readonly configuration: Configuration;
  /** The command that opens it; told to whoever wants the same data. */
  readonly verb: string;
  /** Default: the port used last, else the preferred one, else a free one. */
  readonly port?: number;
  /** Words for the person at the terminal. */
  readonly say: (words: string) => void;
}

// Easy to remember, and no well-known service's.
const preferredPort = 7080;

// The embedded server's own bound, and some.
const postgresStopMs = 27_000;
const providerStopMs = 12_000;
// Longer than all the parts of the server may take together.
const serverStopMs = 25_000;

/** Starts everything that a shop on this data needs. What a killed predecessor left is ended first. */
export async function openShop(options: OpenShopOptions): Promise<OpenShop> {
  const { data, configuration } = options;
  await makeDataFolder(data);
  const hold = await holdData(options);
  turnLog(data.log);
  const log = await openLogger({ level: configuration.logLevel, file: data.log });
  const life = new Lifecycle(log.logger);
  const killers: (() => void)[] = [];
  const abandon = (): void => killers.forEach((kill) => void kill());
  try {
    await life.start("data folder", { start: () => hold, stop: () => hold.release() });
    await life.start("log", keepLogShort(data.log, log));
    const shop = await startParts(options, { life, logger: log.logger, killers });
    return {
      ...shop,
      async close(reason) {
        const { unclean } = await life.stop(reason);
        if (unclean.length > 0) abandon();
        log.flush();
      },
      abandon,
    };
  } catch (error) {
    log.logger.fatal({ error }, "the shop could not be opened");
    await life.stop("the start failed");
    abandon();
    log.flush();
    throw error;
  }
}

async function holdData({ data, verb }: OpenShopOptions): Promise<Hold> {
  try {
    return await takeData(data, verb);
  } catch (error) {
    if (!(error instanceof DataHeldError)) throw error;
    const server = await readServerFile(data);
    throw new DataHeldError(
      data,
      error.holder,
      server?.server.pid === error.holder.process.pid ? server.url : undefined,
    );
  }
}

interface Frame {
  readonly life: Lifecycle;
  readonly logger: Logger;
  /** What ends a child at once, for each that was started. */
  readonly killers: (() => void)[];
}

async function startParts(options: OpenShopOptions, frame: Frame): Promise<Omit<OpenShop, "close" | "abandon">> {
  const { data, configuration } = options;
  frame.logger.info({ version: version(), ...shownConfiguration(specification, configuration) }, "starting");
  await keepDatabaseChoice(data, configuration.databaseUrl);
  await endOrphans(await readServerFile(data));
  const tell = teller(options);
  const ports = await choosePorts(options);
  const secretFile = providerSecretFile(data);
  // The three slow things side by side: two processes that start, and the modules of the server, which are many.
  const [databaseUrl, provider, server] = await allOrFirstFault([
    configuration.databaseUrl ?? startPostgres(options, frame, tell),
    startProvider(options, frame, { tell, port: ports.provider, secretFile }),
    import("./serve.ts"),
  ]);
  const operator = await settleOperator(data, configuration);
  const { url } = await frame.life.start("server", {
    start: () =>
      server.serve({
        adminUrl: databaseUrl,
        port: ports.http,
        version: version(),
        logger: frame.logger,
        secretsFolder: data.secrets,
        provider,
        operator,
        chatUrl: configuration.chatUrl,
      }),
    stop: (running) => running.stop("the shop closes"),
    stopWithinMs: serverStopMs,
  });
  writePorts(data, ports);
  tell({ url, databaseUrl, providerUrl: provider.url });
  return { url, databaseUrl, providerUrl: provider.url, providerSecret: provider.apiSecret, operator };
}

/** What merchant and provider share; see the provider's own words on it. */
export const providerSecretFile = ({ secrets }: DataFolder): string => join(secrets, "provider.json");

/** The children of a server that was killed. PostgreSQL's are found by the embedded server itself, from its own files. */
async function endOrphans(before: ServerFile | undefined): Promise<void> {
  if (before?.provider) await endProcess(before.provider, { signal: "SIGTERM", withinMs: providerStopMs });
}

type Tell = (change: Partial<ServerFile>) => void;

/** Keeps the server file up to date, one fact after the other. */
function teller({ data, verb }: OpenShopOptions): Tell {
  let told: ServerFile = { server: ownMark(), since: new Date().toISOString(), verb };
  const tell: Tell = (change) => {
    told = { ...told, ...change };
    writeServerFile(data, told);
  };
  tell({});
  return tell;
}

async function choosePorts({ data, port }: OpenShopOptions): Promise<{ http: number; provider: number }> {
  const last = await readPorts(data);
  if (port !== undefined && port !== 0 && !(await isFree(port))) throw new PortTakenError(port);
  const http =
    port === undefined ? await choosePort([last.http, preferredPort]) : await choosePort([port || undefined]);
  return { http, provider: await choosePort([last.provider]) };
}

/** The port that was asked for by name is another program's. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
  constructor(port: number) {
    super(`Port ${port} is taken by another program. Choose another with --port, or leave it out.`);
  }
}

async function startPostgres({ data, say }: OpenShopOptions, frame: Frame, tell: Tell): Promise<string> {
  const { startEmbeddedPostgres } = await import("@onsale/postgres");
  const tellProcess = (server: EmbeddedPostgres): void => {
    const postgres = markOf(server.pid);
    if (postgres) tell({ postgres });
  };
  const running = await frame.life.start("PostgreSQL", {
    start: async () => {
      const server = await startEmbeddedPostgres({
        directory: data.postgres,
        onIncident(what) {
          frame.logger.error({ what }, "PostgreSQL had an incident");
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
  frame.killers.push(() => signalNow(running.pid, "SIGQUIT"));
  return running.url;
}

function signalNow(pid: number, signal: NodeJS.Signals): void {
  const mark = markOf(pid);
  if (mark) send(mark, signal);
}

interface ProviderPlace {
  readonly tell: Tell;
  readonly port: number;
  readonly secretFile: string;
}

async function startProvider(
  { data, say }: OpenShopOptions,
  { life, killers }: Frame,
  { tell, port, secretFile }: ProviderPlace,
) {
  const provider = await import("@onsale/provider-sim");
  const { apiSecret, webhookSecret } = await provider.ensureSecrets(secretFile);
  const supervised = await life.start("provider", {
    start: () =>
      supervise({
        name: "The payment provider",
        start: () =>
          provider.startProvider({
            directory: data.provider,
            secretFile,
            port,
            logFile: join(data.provider, "provider.log"),
          }),
        onStarted: (mark) => tell({ provider: mark }),
        say,
      }),
    stop: (running) => running.stop(),
    stopWithinMs: providerStopMs,
  });
  killers.push(() => supervised.signal("SIGKILL"));
  return { url: supervised.first.url, apiSecret, webhookSecret };
}

// A few hours of a busy shop at the level `info`.
const longestLogBytes = 64 * 1024 * 1024;
const turnEveryMs = 60_000;

/** Makes room by renaming a long log; the one before it is lost. True when there was something to do. */
function turnLog(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size < longestLogBytes) return false;
  renameSync(path, `${path}.1`);
  return true;
}

const keepLogShort = (path: string, log: OpenLogger) => ({
  start: () =>
    startRecurringWork([
      {
        name: "shop.turn-log",
        everyMs: turnEveryMs,
        run: async () => {
          if (turnLog(path)) log.reopen();
        },
      },
    ]),
  stop: (running: RunningWork) => running.drain(),
});

/** Waits for all, also when one has failed, so that nothing is still starting when the rest is stopped. */
async function allOrFirstFault<const Values extends readonly unknown[]>(
  values: Values,
): Promise<{ -readonly [Index in keyof Values]: Awaited<Values[Index]> }> {
  const settled = await Promise.allSettled(values);
  const fault = settled.find((it) => it.status === "rejected");
  if (fault) throw fault.reason;
  return settled.map((it) => (it.status === "fulfilled" ? it.value : undefined)) as never;
}
