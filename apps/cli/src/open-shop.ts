import type { SagaStyle } from "@onsale/orders";
import { Lifecycle, openLogger, shownConfiguration } from "@onsale/runtime";
import type { ProviderAddress } from "./audit/provider-ledger.ts";
import { version } from "./checkout.ts";
import { type Configuration, paymentSettings, specification } from "./configuration.ts";
import { type DataFolder, makeDataFolder } from "./data-folder.ts";
import { keepDatabaseChoice } from "./database-choice.ts";
import { settleEventLog } from "./event-log-choice.ts";
import { DataHeldError, type Hold, takeData } from "./holders.ts";
import { messageChannels } from "./message-channels.ts";
import { type OperatorLogIn, settleOperator } from "./operator.ts";
import { mustBeFree, onFreePort, readPorts, writePorts } from "./ports.ts";
import { addressOf, settleRedis } from "./redis-choice.ts";
import { readServerFile } from "./server-file.ts";
import {
  endOrphans,
  type Frame,
  startKafka,
  startPostgres,
  startProviders,
  startRedis,
  startSink,
  teller,
} from "./shop-children.ts";
import { keepLogShort, turnLog } from "./short-log.ts";

/** A shop that runs: PostgreSQL and the payment provider as children, the services in this process. */
export interface OpenShop {
  readonly url: string;
  readonly databaseUrl: string;
  readonly providers: readonly ProviderAddress[];
  readonly operator: OperatorLogIn;
  /** `host:port` of the Kafka that events go through; absent where they go through PostgreSQL. */
  readonly kafka?: string;
  /** The Redis in which its gate stands, without the password; absent where there is none. */
  readonly redis?: string;
  /** The page of the sink, where there is one. */
  readonly messages?: string;
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
  /** Starts a Kafka broker beside the shop. Data that was begun so has one in any case. */
  readonly withKafka?: boolean;
  /** Starts a Redis beside the shop, for a gate. */
  readonly withRedis?: boolean;
  /** Starts a sink beside the shop, where messages end for which no channel is configured. */
  readonly withSink?: boolean;
  /** Who leads an order's steps. Default: as it is configured, or else as the data was begun. */
  readonly saga?: SagaStyle;
  /** Words for the person at the terminal. */
  readonly say: (words: string) => void;
}

// Easy to remember, and no well-known service's.
const preferredPort = 7080;

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
    const shop = await startParts(options, { life, logger: log.logger, killers, say: options.say });
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

async function startParts(options: OpenShopOptions, frame: Frame): Promise<Omit<OpenShop, "close" | "abandon">> {
  const { data, configuration, port, verb, withKafka = false, withRedis = false } = options;
  frame.logger.info({ version: version(), ...shownConfiguration(specification, configuration) }, "starting");
  // Asked for by name and not to be had: said before anything is started.
  if (port !== undefined && port !== 0) await mustBeFree(port);
  const eventLog = await settleEventLog(data, { bootstrap: configuration.kafka, beside: withKafka });
  const namedRedis = await settleRedis(configuration, withRedis);
  await keepDatabaseChoice(data, configuration.databaseUrl);
  await endOrphans(await readServerFile(data));
  const tell = teller(data, verb);
  const last = await readPorts(data);
  // The slow things side by side: the processes that start, and the modules of the server, which are many.
  const [database, providers, kafka, redisBeside, sink, { serve }] = await allOrFirstFault([
    existing(configuration.databaseUrl) ?? startPostgres(frame, data, tell),
    startProviders(frame, data, { tell, lastPorts: last.providers ?? [] }),
    eventLog === "kafka-beside" ? startKafka(frame, data, tell) : configuration.kafka,
    withRedis ? startRedis(frame, data, tell) : undefined,
    options.withSink ? startSink(frame) : undefined,
    import("./serve.ts"),
  ]);
  const redis = redisBeside === undefined ? namedRedis : { url: redisBeside, prefix: configuration.redisPrefix };
  const operator = await settleOperator(data, configuration);
  const wanted = port === undefined ? { oneOf: [last.http, preferredPort] } : { exactly: port };
  const { url } = await onFreePort(wanted, (httpPort) =>
    frame.life.start("server", {
      start: () =>
        serve({
          ...servedWith(options, frame),
          messages: { ...sink?.channels, ...messageChannels(configuration) },
          adminUrl: database.localUrl,
          port: httpPort,
          providers,
          operator,
          kafka: kafkaChoice(kafka, configuration),
          redis,
        }),
      stop: (server) => server.stop("the shop closes"),
      stopWithinMs: serverStopMs,
    }),
  );
  writePorts(data, { http: portIn(url), providers: providers.map(({ url: at }) => portIn(at)) });
  const { url: databaseUrl, localUrl: databaseLocalUrl } = database;
  const told = providers.map(({ name, url: at }) => ({ name, url: at }));
  const parts = { ...(kafka !== undefined && { kafka }), ...(redis && { redis: addressOf(redis.url) }) };
  tell({ url, databaseUrl, databaseLocalUrl, providers: told, ...parts });
  return {
    ...{ url, databaseUrl: databaseLocalUrl, providers, operator, ...parts },
    ...(sink && { messages: sink.url }),
  };
}

/** What the server is given besides addresses. */
const servedWith = ({ data, configuration, saga }: OpenShopOptions, { logger }: Frame) => ({
  version: version(),
  logger,
  secretsFolder: data.secrets,
  saga: saga ?? configuration.saga,
  shopUrl: configuration.shopUrl,
  trustedProxies: configuration.trustedProxies,
  ...paymentSettings(configuration),
});

const existing = (url: string | undefined) => (url === undefined ? undefined : { url, localUrl: url });

const kafkaChoice = (bootstrap: string | undefined, { kafkaPrefix: prefix }: Configuration) =>
  bootstrap === undefined ? undefined : { bootstrap, prefix };

const portIn = (url: string): number => Number(new URL(url).port);

/** Waits for all, also when one has failed, so that nothing is still starting when the rest is stopped. */
async function allOrFirstFault<const Values extends readonly unknown[]>(
  values: Values,
): Promise<{ -readonly [Index in keyof Values]: Awaited<Values[Index]> }> {
  const settled = await Promise.allSettled(values);
  const fault = settled.find((it) => it.status === "rejected");
  if (fault) throw fault.reason;
  return settled.map((it) => (it.status === "fulfilled" ? it.value : undefined)) as never;
}
