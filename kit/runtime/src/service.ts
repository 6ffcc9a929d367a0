import type { HttpServer } from "@onsale/http";
import type { BasePorts, Consumer, Feeds } from "@onsale/messaging";
import type { Database } from "@onsale/postgres";

/** What a service's edges work with: its own database, and the ports it was composed with. */
export interface ServiceContext<Ports extends BasePorts = BasePorts> {
  readonly database: Database;
  readonly ports: Ports;
  /** How far this service has heard what others tell. */
  readonly feeds: Feeds;
}

/** Work that recurs. It must bear running in several processes at once, and being killed anywhere. */
export interface Job<Ports extends BasePorts = BasePorts> {
  readonly name: string;
  /** Milliseconds between the end of one run and the start of the next. */
  readonly everyMs: number;
  readonly run: (context: ServiceContext<Ports>, signal: AbortSignal) => Promise<void>;
}

/** Everything there is to know about a service from outside: what `src/index.ts` of it exports, and all that it exports. */
export interface ServiceDefinition<Ports extends BasePorts = BasePorts> {
  /** Also its schema, and with `onsale_` before it its role. */
  readonly name: string;
  /** The folder of its own SQL migrations. */
  readonly migrations: URL;
  /** Comes before all its work: throws where what lies in the database can't be gone on with in this composition. */
  readonly begin: (context: Omit<ServiceContext<Ports>, "feeds">) => Promise<void>;
  readonly consumers: readonly Consumer<Ports>[];
  /** Those in its place where nobody leads a saga, and services go on by what their neighbours tell. */
  readonly choreographed: readonly Consumer<Ports>[];
  readonly routes: (http: HttpServer, context: ServiceContext<Ports>) => void;
  readonly jobs: readonly Job<Ports>[];
}

export function defineService<Ports extends BasePorts = BasePorts>(
  name: string,
  rest: {
    migrations: URL;
    begin?: ServiceDefinition<Ports>["begin"];
    consumers?: readonly Consumer<Ports>[];
    /** Absent: they are the same. */
    choreographed?: readonly Consumer<Ports>[];
    routes?: ServiceDefinition<Ports>["routes"];
    jobs?: readonly Job<Ports>[];
  },
): ServiceDefinition<Ports> {
  return {
    name,
    migrations: rest.migrations,
    begin: rest.begin ?? (async () => undefined),
    consumers: rest.consumers ?? [],
    choreographed: rest.choreographed ?? rest.consumers ?? [],
    routes: rest.routes ?? (() => undefined),
    jobs: rest.jobs ?? [],
  };
}
