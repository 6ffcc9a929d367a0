import { createHttpServer, type HttpServer, type TokenVerifier } from "@onsale/http";
import { type Log, Lookout, OutboxLog, type RunningFeeds, readerRole } from "@onsale/messaging";
import { type Database, migrate, openDatabase } from "@onsale/postgres";
import {
  Lifecycle,
  type Logger,
  metricsPage,
  type RecurringWork,
  startRecurringWork,
  startTelemetry,
} from "@onsale/runtime";
import { BacklogWatch, defineBacklogGauges, type NamedRelay } from "./backlog-watch.ts";
import type { Composition } from "./compose.ts";
import type { HostedService } from "./hosted-service.ts";
import { connectKafka, type KafkaChoice, refuseOtherLog, type ServerKafka } from "./kafka.ts";
import type { OperatedService } from "./operations/operated-services.ts";
import { addOperations, defineOperationGauges, redriveWork } from "./operations/operations.ts";
import { outboxUpkeep } from "./outbox-upkeep.ts";
import { watchDatabases } from "./readiness.ts";
import { telemetry, tellAnswered } from "./telemetry.ts";

export interface ServerOptions {
  /** An administrator's URL: schemas and roles are made with it. The services use roles of their own. */
  readonly adminUrl: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly port: number;
  readonly version: string;
  readonly composition: Composition;
  readonly tokens: TokenVerifier;
  /** Proxies in front of this server: see `HttpServerOptions`. */
  readonly trustedProxies?: string;
  readonly logger: Logger;
  /** Events go through this Kafka. Absent: consumers read the outboxes. What was begun with the one can't go on with the other. */
  readonly kafka?: KafkaChoice;
}

export interface RunningServer {
  readonly url: string;
  /** Takes no new requests, answers those under way, lets the consumers finish their batches, and ends. */
  stop(reason: string): Promise<void>;
}

// Requests have 2.5 s, streams are told to end; twice that is a client that doesn't read its answer.
const httpDrainMs = 5_000;
// A batch takes milliseconds, a call to a payment provider at most 10 s, and its outcome is to be written down after it.
const feedsDrainMs = 12_000;
// Jobs work in small batches and look at their signal between them.
const jobsDrainMs = 5_000;
// A relay gives up after 3 s when the broker is away; what it had read then is relayed after the next start.
const relaysDrainMs = 5_000;

/** Starts the services in this process: their schemas, connections, consumers, routes and jobs. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { composition, logger } = options;
  startTelemetry(logger);
  const life = new Lifecycle(logger);
  try {
    await life.start("migrations", { start: () => migrateAll(options) });
    // Before the consumers, which use them until their own end.
    await life.start("lines to others", { start: () => undefined, stop: () => composition.close() });
    const hosted = await Promise.all(
      composition.services.map((service) => life.start(`${service.name}: database`, databases(options, service))),
    );
    await Promise.all(hosted.map(({ service, database }) => service.begin(database)));
    const kafka = await life.start("Kafka", kafkaOf(options, hosted));
    const relays = await life.start("relays", relaysOf(kafka, hosted));
    const opened = await life.start("logs", logs(options, kafka));
    const fed = await Promise.all(
      hosted.map(async (it) => ({ ...it, feeds: await life.start(`${it.service.name}: feeds`, feeds(it, opened)) })),
    );
    const watch = watchDatabases(named(hosted), kafka && { name: "kafka", ...tellOfKafka, ask: () => kafka.ask() });
    const services = operated(fed, kafka);
    const http = await life.start("http", httpServer(options, { fed, services, watch }));
    await life.start("jobs", jobs(fed, [watchWork(watch), ...backlogWork(relays), ...redriveWork(services)]));
    return {
      url: `http://${options.host ?? "127.0.0.1"}:${portOf(http) ?? options.port}`,
      stop: async (reason) => void (await life.stop(reason)),
    };
  } catch (error) {
    await life.stop("the start failed");
    throw error;
  }
}

function portOf(http: HttpServer): number | undefined {
  const address = http.server.address();
  return typeof address === "object" ? address?.port : undefined;
}

/** A service with its connections. Requests and consumers have connections of their own, so that neither waits for the other. */
interface Connected {
  readonly service: HostedService;
  readonly database: Database;
  readonly feedsDatabase: Database;
}
type Fed = Connected & { readonly feeds: RunningFeeds };

async function migrateAll({ adminUrl, composition: { services } }: ServerOptions): Promise<void> {
  const applied = await Promise.all(
    services.map(({ schema, role, migrations }) => migrate({ adminUrl, schema, role, sets: migrations })),
  );
  const count = applied.flatMap((it) => it.applied).length;
  if (count > 0) telemetry.migrated({ count });
}

// Transactions of requests at once, per service. Six services, their feeds and their lines stay well below the server's 200.
const requestConnections = 8;

// A request is answered within 2.5 s. It waits this long for a row that another process holds, and then says so (409);
// a statement that outlives the request is of no use to anybody.
const requestLockMs = 300;
const requestStatementMs = 5_000;

function databases({ adminUrl, kafka }: ServerOptions, service: HostedService) {
  const { schema, role, name, feedCount } = service;
  const place = { url: adminUrl, schema, role };
  return {
    start: (): Connected => ({
      service,
      database: openDatabase({
        ...place,
        connections: requestConnections,
        applicationName: `${name} requests`,
        lockTimeoutMs: requestLockMs,
        statementTimeoutMs: requestStatementMs,
      }),
      // Each consumer may read two lanes; one more for the deadlines' and parked keys' sake, and one per lane that is relayed.
      feedsDatabase: openDatabase({
        ...place,
        connections: Math.max(4, 2 * feedCount + 1) + (kafka ? 2 : 0),
        applicationName: `${name} feeds`,
      }),
    }),
    async stop({ database, feedsDatabase }: Connected) {
      await Promise.all([database.close(), feedsDatabase.close()]);
    },
  };
}

/** Connects to Kafka where the server is to use it; either way it makes sure that the data was begun so. */
const kafkaOf = ({ kafka }: ServerOptions, hosted: readonly Connected[]) => ({
  async start(): Promise<ServerKafka | undefined> {
    if (kafka) return await connectKafka(kafka, named(hosted));
    await refuseOtherLog(named(hosted));
    return undefined;
  },
  stop: (connected: ServerKafka | undefined) => connected?.close(),
});

const named = (hosted: readonly Connected[]) => hosted.map(({ service: { name }, database }) => ({ name, database }));

const tellOfKafka = { lost: () => telemetry.kafkaLost(), back: () => telemetry.kafkaBack() };

const relaysOf = (kafka: ServerKafka | undefined, hosted: readonly Connected[]) => ({
  start: (): NamedRelay[] =>
    kafka
      ? hosted.map(({ service, feedsDatabase }) => ({ service: service.name, relay: kafka.startRelay(feedsDatabase) }))
      : [],
  async stop(relays: readonly NamedRelay[]) {
    await Promise.all(relays.map(({ relay }) => relay.drain()));
  },
  stopWithinMs: relaysDrainMs,
});

/** What the feeds read from. */
interface Logs {
  open(feedsDatabase: Database): Log & { close?(): Promise<void> };
  close(): Promise<void>;
}

const logs = ({ adminUrl }: ServerOptions, kafka: ServerKafka | undefined) => ({
  start: (): Logs =>
    kafka ? { open: (database) => kafka.openLog(database), close: async () => {} } : outboxes(adminUrl),
  stop: (opened: Logs) => opened.close(),
});

/** The outboxes, looked at once for all services. */
function outboxes(url: string): Logs {
  const place = { url, schema: "public", role: readerRole };
  const database = openDatabase({ ...place, connections: 1, applicationName: "lookout" });
  const lookout = new Lookout({ database });
  return {
    open: (feedsDatabase) => new OutboxLog({ database: feedsDatabase, lookout }),
    close: () => database.close(),
  };
}

/** A service's running feeds, and what they read from. */
interface ReadingFeeds extends RunningFeeds {
  readonly log: ReturnType<Logs["open"]>;
}

const feeds = ({ service, feedsDatabase }: Connected, { open }: Logs) => ({
  start(): ReadingFeeds {
    const log = open(feedsDatabase);
    return { ...service.startFeeds(feedsDatabase, log), log };
  },
  async stop({ log, ...running }: ReadingFeeds) {
    if (!(await running.drain(feedsDrainMs - 1_000))) telemetry.feedsAbandoned({ service: service.name });
    await log.close?.();
  },
  stopWithinMs: feedsDrainMs,
});

type Watch = ReturnType<typeof watchDatabases>;

interface Served {
  readonly fed: readonly Fed[];
  /** The same, as operators reach them. */
  readonly services: readonly OperatedService[];
  readonly watch: Watch;
}

const httpServer = (options: ServerOptions, { fed, services, watch: { readiness } }: Served) => ({
  async start(): Promise<HttpServer> {
    const http = await createHttpServer({
      name: "Onsale",
      version: options.version,
      tokens: options.tokens,
      logger: options.logger,
      ...(options.trustedProxies !== undefined && { trustedProxies: options.trustedProxies }),
      onAnswered: tellAnswered,
      readiness,
      metrics: metricsPage,
    });
    for (const { service, database, feeds } of fed) service.addRoutes(http, { database, feeds });
    addOperations(http, services);
    defineOperationGauges(services);
    await http.listen({ host: options.host ?? "127.0.0.1", port: options.port });
    return http;
  },
  stop: (http: HttpServer) => http.close(),
  stopWithinMs: httpDrainMs,
});

const operated = (fed: readonly Fed[], kafka: ServerKafka | undefined): OperatedService[] =>
  fed.map(({ service: { name, readers }, database }) => ({
    ...{ name, readers, database },
    ...(kafka && { topicPlaces: (source, moment) => kafka.topicPlaces(source, moment) }),
  }));

// So that a lost database shows in the log and in the metrics even where nobody asks for readiness.
const watchEveryMs = 1_000;

const watchWork = ({ readiness }: Watch): RecurringWork => ({
  name: "server.watch-databases",
  everyMs: watchEveryMs,
  run: async () => void (await readiness()),
});

function backlogWork(relays: readonly NamedRelay[]): RecurringWork[] {
  if (relays.length === 0) return [];
  const watch = new BacklogWatch(relays);
  defineBacklogGauges(watch);
  return [{ name: "server.watch-backlogs", everyMs: watchEveryMs, run: () => watch.look() }];
}

function jobs(fed: readonly Fed[], serversWork: readonly RecurringWork[]) {
  const ownWork: RecurringWork[] = [
    ...fed.flatMap(({ service, database }) => outboxUpkeep(service.name, database)),
    ...serversWork,
  ];
  const work = fed.flatMap(({ service, database, feeds }) => service.jobs({ database, feeds }));
  return {
    start: () => startRecurringWork([...work, ...ownWork]),
    stop: (running: ReturnType<typeof startRecurringWork>) => running.drain(),
    stopWithinMs: jobsDrainMs,
  };
}
