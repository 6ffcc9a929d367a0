import { type HttpServer, migrations as httpMigrations } from "@onsale/http";
import {
  type BasePorts,
  type EventDefinition,
  type FeedsOptions,
  LaneGate,
  type Log,
  migrations as messagingMigrations,
  type RunningFeeds,
  startFeeds,
} from "@onsale/messaging";
import { type Reader, readersOf } from "@onsale/messaging/operations";
import type { Database, MigrationSet } from "@onsale/postgres";
import type { RecurringWork, ServiceContext, ServiceDefinition } from "@onsale/runtime";
import { migrations as sagaMigrations } from "@onsale/saga";
import { messagingTelemetry } from "./telemetry.ts";

/** All services share this process and its database, so their bulk batches give way to one another's online ones. */
const gate = new LaneGate();

/** What a service works with here, whatever its ports are. */
export type HostedContext = Omit<ServiceContext, "ports">;

/** A service and the ports that this composition gave it, as one thing whose parts can be started. */
export interface HostedService {
  readonly name: string;
  readonly schema: string;
  readonly role: string;
  /** In the order of application: the kit's tables first, then the service's own. */
  readonly migrations: readonly MigrationSet[];
  readonly feedCount: number;
  /** Throws where what lies in the database can't be gone on with. */
  begin(database: Database): Promise<void>;
  /** Who hears what, under the names by which operators know them. */
  readonly readers: readonly Reader[];
  /** `log`: where events are read from. */
  startFeeds(database: Database, log: Log): RunningFeeds;
  addRoutes(http: HttpServer, context: HostedContext): void;
  jobs(context: HostedContext): readonly RecurringWork[];
}

/** How often a failing key is tried, and after what silence another process takes over. */
export type FeedBounds = Partial<Pick<FeedsOptions<BasePorts>, "retry" | "leaseMs">>;

/** Puts a service and its ports together. The ports' type ends here: to the server all services are alike. */
export function host<Ports extends BasePorts>(
  service: ServiceDefinition<Ports>,
  ports: Ports,
  sourceOf: (definition: EventDefinition) => string,
  bounds: FeedBounds = {},
): HostedService {
  const { name, consumers } = service;
  return {
    name,
    schema: name,
    role: `onsale_${name}`,
    migrations: [messagingMigrations, httpMigrations, sagaMigrations, { owner: name, directory: service.migrations }],
    feedCount: consumers.length,
    begin: (database) => service.begin({ database, ports }),
    readers: readersOf(name, consumers, sourceOf),
    startFeeds: (database, log) =>
      startFeeds({
        service: name,
        database,
        consumers,
        ports,
        sourceOf,
        telemetry: messagingTelemetry,
        gate,
        log,
        ...bounds,
      }),
    addRoutes: (http, context) => service.routes(http, { ...context, ports }),
    jobs: (context) =>
      service.jobs.map((job) => ({
        name: job.name,
        everyMs: job.everyMs,
        run: (signal) => job.run({ ...context, ports }, signal),
      })),
  };
}
