import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from "fastify";
import type { OpenStreams } from "./event-stream.ts";
import type { JsonSchema } from "./schemas.ts";
import type { Person } from "./tokens.ts";
import type { RequestCause } from "./trace.ts";

/**
 * Who may call a route: anybody; who has a token, guests included; who has an account; who runs the shop; who says who
 * runs it. Each lets in those behind it, too.
 */
export type Access = "public" | "buyer" | "account" | "operator" | "admin";

/** What services add their routes to. */
export type HttpServer = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Declared by every route; one without it fails at start. */
    access: Access;
    /** The route needs an Idempotency-Key: documented, and refused before the body is read when it is missing. */
    idempotent?: true;
  }
  interface FastifyRequest {
    /** Who sends the request. Throws on a public route. */
    readonly person: Person;
    readonly cause: RequestCause;
    /** The body as it came, of a request that has one. */
    rawBody: Buffer | undefined;
  }
  interface FastifyInstance {
    readonly openStreams: OpenStreams;
  }
}

/** One route, as tests and documents see it. */
export interface DeclaredRoute {
  readonly method: string;
  /** With its parameters as `:name`. */
  readonly url: string;
  readonly access: Access;
  readonly takesBody: boolean;
  /** What it takes, as requests are held to it: every object closed. */
  readonly takes: { readonly [Part in "body" | "querystring" | "params"]?: JsonSchema };
}

const declared = new WeakMap<object, DeclaredRoute[]>();

/** Every route of the server, from its router. */
export const routesOf = (http: HttpServer): readonly DeclaredRoute[] => declared.get(http) ?? [];

/** Begins the list of a server's routes. */
export function listRoutes(http: HttpServer): DeclaredRoute[] {
  const routes: DeclaredRoute[] = [];
  declared.set(http, routes);
  return routes;
}
