import { createHttpServer, type HttpServer, type TokenVerifier } from "@onsale/http";
import type { RunningFeeds } from "@onsale/messaging";
import { type Database, migrate, openDatabase } from "@onsale/postgres";
import {
  Lifecycle,
  type Logger,
  metricsPage,
  type RecurringWork,
  startRecurringWork,
  startTelemetry,
} from "@onsale/runtime";
import type { Composition } from "./compose.ts";
import type { HostedService } from "./hosted-service.ts";
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
  readonly logger: Logger;
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
    const fed = await Promise.all(
      hosted.map(async (it) => ({ ...it, feeds: await life.start(`${it.service.name}: feeds`, feeds(it)) })),
    );
    const watch = watchDatabases(hosted.map(({ service, database }) => ({ name: service.name, database })));
    const http = await life.start("http", httpServer(options, fed, watch));
    await life.start("jobs", jobs(fed, watch));
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

function databases({ adminUrl }: ServerOptions, service: HostedService) {
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
      // Each consumer may read two lanes; one more for the deadlines' and parked keys' sake.
      feedsDatabase: openDatabase({
        ...place,
        connections: Math.max(4, 2 * feedCount + 1),
        applicationName: `${name} feeds`,
      }),
    }),
    async stop({ database, feedsDatabase }: Connected) {
      await Promise.all([database.close(), feedsDatabase.close()]);
    },
  };
}

const feeds = ({ service, feedsDatabase }: Connected) => ({
  start: () => service.startFeeds(feedsDatabase),
  async stop(running: RunningFeeds) {
    if (!(await running.drain(feedsDrainMs - 1_000))) telemetry.feedsAbandoned({ service: service.name });
  },
  stopWithinMs: feedsDrainMs,
});

type Watch = ReturnType<typeof watchDatabases>;

const httpServer = (options: ServerOptions, fed: readonly Fed[], { readiness }: Watch) => ({
  async start(): Promise<HttpServer> {
    const http = await createHttpServer({
      name: "Onsale",
      version: options.version,
      tokens: options.tokens,
      logger: options.logger,
      onAnswered: tellAnswered,
      readiness,
      metrics: metricsPage,
    });
    for (const { service, database, feeds } of fed) service.addRoutes(http, { database, feeds });
    addOperations(http, operated(fed));
    defineOperationGauges(operated(fed));
    await http.listen({ host: options.host ?? "127.0.0.1", port: options.port });
    return http;
  },
  stop: (http: HttpServer) => http.close(),
  stopWithinMs: httpDrainMs,
});

const operated = (fed: readonly Fed[]): OperatedService[] =>
  fed.map(({ service: { name, readers }, database }) => ({ name, readers, database }));

// So that a lost database shows in the log and in the metrics even where nobody asks for readiness.
const watchEveryMs = 1_000;

function jobs(fed: readonly Fed[], { readiness }: Watch) {
  const ownWork: RecurringWork[] = [
    ...fed.flatMap(({ service, database }) => outboxUpkeep(service.name, database)),
    ...redriveWork(operated(fed)),
    { name: "server.watch-databases", everyMs: watchEveryMs, run: async () => void (await readiness()) },
  ];
  const work = fed.flatMap(({ service, database, feeds }) => service.jobs({ database, feeds }));
  return {
    start: () => startRecurringWork([...work, ...ownWork]),
    stop: (running: ReturnType<typeof startRecurringWork>) => running.drain(),
    stopWithinMs: jobsDrainMs,
  };
}
