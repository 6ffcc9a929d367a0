import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type onRequestHookHandler,
  type RouteOptions,
} from "fastify";
import { type Admission, createAdmission } from "./admission.ts";
import { authenticator, requirePerson } from "./authentication.ts";
import { acceptOnlyJson } from "./body.ts";
import { answerClientError } from "./client-error.ts";
import { documentRoutes, referencePrefix, serveDocuments } from "./documents.ts";
import { httpErrors } from "./errors.ts";
import type { OpenStreams } from "./event-stream.ts";
import { type HealthOptions, isHealthRoute, serveHealth } from "./health.ts";
import { whyKeyRefused } from "./idempotency.ts";
import { asProblem, problem, problemBody, problemHeaders, problemMediaType } from "./problem.ts";
import { type DeclaredRoute, type HttpServer, listRoutes } from "./route.ts";
import { closed, compileValidator, type JsonSchema, noBody, plain } from "./schemas.ts";
import type { TokenVerifier } from "./tokens.ts";
import { causeOf, type RequestCause, traceIdOf } from "./trace.ts";

/** A request that was answered, for metrics. */
export interface AnsweredRequest {
  readonly method: string;
  /** The route with its parameters as `:name`; undefined where no route fits. */
  readonly route: string | undefined;
  readonly status: number;
  readonly seconds: number;
}

export interface HttpServerOptions extends HealthOptions {
  /** What the API is called in its documents. */
  readonly name: string;
  readonly version: string;
  readonly tokens: TokenVerifier;
  readonly logger: FastifyBaseLogger;
  readonly onAnswered?: (answered: AnsweredRequest) => void;
  /**
   * Addresses and networks of the proxies in front, with commas between, which add the address of whom they serve to
   * X-Forwarded-For. Default none: the header is anybody's to write, and changes nothing.
   */
  readonly trustedProxies?: string;
  readonly limits?: Partial<HttpLimits>;
}

/** How much the server takes on, and how long it waits. */
export interface HttpLimits {
  readonly maximumInFlight: number;
  readonly maximumStreams: number;
  readonly maximumConnections: number;
  readonly deadlineMs: number;
  readonly bodyBytes: number;
  readonly urlCharacters: number;
  readonly headerBytes: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

const defaultLimits: HttpLimits = {
  // At 5,000 answers a second the last of a thousand waits 200 ms, which is what a queue may cost.
  maximumInFlight: 1_000,
  // Each costs a socket and some 30 kB; the crowd of one sale that watches its orders.
  maximumStreams: 1_000,
  // Twice what may be in flight: idle keep-alive connections and streams are connections, too.
  maximumConnections: 3_000,
  // Clients give up after 3 s; half a second is left for the way.
  deadlineMs: 2_500,
  // An order of 1,000 lines is 100 kB.
  bodyBytes: 1024 * 1024,
  // The longest is a page of products after a cursor: 300.
  urlCharacters: 2_048,
  // Node's own default, stated: a token is 400 bytes, cookies of others may come along.
  headerBytes: 16 * 1024,
  // What a phone on a bad line needs for a packet, and a client that dribbles headers to hold a connection does not get.
  headersTimeoutMs: 5_000,
  // The largest body at 100 kB/s.
  requestTimeoutMs: 10_000,
};

/**
 * Makes a server to which services add their routes; `listen` and `close` are Fastify's. Every answer that is not a
 * success is problem+json with a code of the registry. A route states who may call it (`config.access`); its schemas are
 * closed, so a field that they do not name is refused; bodies are never coerced.
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = { ...defaultLimits, ...options.limits };
  const http = bareServer(options, limits);
  const admission = createAdmission({
    ...limits,
    onLate: (request, error) =>
      options.logger.debug({ err: error, trace_id: traceIdOfRequest(request) }, "work ended after its deadline"),
  });
  const streams: OpenStreams = { maximum: limits.maximumStreams, ends: new Set() };
  const routes = listRoutes(http);

  http.setValidatorCompiler(compileValidator);
  acceptOnlyJson(http);
  decorate(http, streams);
  answerFailures(http, options.logger);
  refuseEarly(http, limits, routes);
  endConnectionsAtStop(http, streams);
  if (options.onAnswered) tellAnswered(http, options.onAnswered);
  http.addHook("onRoute", (route) => completeRoute(route, { admission, tokens: options.tokens, routes }));

  await documentRoutes(http, { title: options.name, version: options.version });
  serveHealth(http, options);
  serveDocuments(http);
  return http;
}

function bareServer({ logger, trustedProxies }: HttpServerOptions, limits: HttpLimits): HttpServer {
  const http = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // One logger for all requests: a child for each costs more than a whole hook, and its request id says nothing outside.
    childLoggerFactory: (parent: FastifyBaseLogger) => parent,
    trustProxy: trustedProxies ?? false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    // Longer than the 60 s of common load balancers, so that it is they who close an idle connection.
    keepAliveTimeout: 72_000,
    forceCloseConnections: "idle",
    // Answered by `refuseEarly`, as a problem.
    return503OnClosing: false,
    routerOptions: { maxParamLength: limits.urlCharacters },
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: 1_000,
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFailure(logger),
  } as never) as unknown as HttpServer;
  http.server.maxConnections = limits.maximumConnections;
  return http;
}

const causeOfRequest = Symbol("cause");

function decorate(http: HttpServer, streams: OpenStreams): void {
  http.decorate("openStreams", streams);
  http.decorateRequest("rawBody", undefined);
  http.decorateRequest("person", {
    getter() {
      return requirePerson(this);
    },
  });
  // Made when first asked for: most reads never do.
  http.decorateRequest("cause", {
    getter() {
      const request = this as FastifyRequest & { [causeOfRequest]?: RequestCause };
      request[causeOfRequest] ??= causeOf(request.headers);
      return request[causeOfRequest];
    },
  });
}

const traceIdOfRequest = (request: FastifyRequest): string =>
  traceIdOf((request.cause ?? causeOf(request.headers)).traceparent);

function answerFailures(http: HttpServer, logger: FastifyBaseLogger): void {
  http.setErrorHandler(answerFailure(logger));
  http.setNotFoundHandler((request, reply) =>
    answerFailure(logger)(problem(404, httpErrors.NOT_FOUND), request, reply),
  );
}

function answerFailure(logger: FastifyBaseLogger) {
  return (error: FastifyError | unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const refusal = asProblem(error);
    const traceId = traceIdOfRequest(request);
    if (refusal.status >= 500 && refusal.options.cause !== undefined) {
      const { method, routeOptions } = request;
      const fields = { err: refusal.options.cause, trace_id: traceId, method, route: routeOptions.url };
      // An absent database fails thousands a second, for one reason that is told elsewhere; a fault of ours is told each time.
      if (refusal.definition.code === "INTERNAL") logger.error(fields, "request failed");
      else logger.debug(fields, "request failed");
    }
    reply
      .code(refusal.status)
      .headers(problemHeaders(refusal))
      .header("content-type", problemMediaType)
      .send(Buffer.from(problemBody(refusal, traceId)));
  };
}

/** What can be refused by looking at the first line of a request, before its body is read. */
function refuseEarly(http: HttpServer, { urlCharacters }: HttpLimits, routes: readonly DeclaredRoute[]): void {
  let stopping = false;
  http.addHook("preClose", async () => {
    stopping = true;
  });
  http.addHook("onRequest", (request, _reply, done) => {
    if (stopping)
      return done(
        problem(503, httpErrors.UNAVAILABLE, {
          retryAfterSeconds: 1,
          detail: "The server is stopping.",
          headers: { connection: "close" },
        }),
      );
    if (request.url.length > urlCharacters) return done(problem(414, httpErrors.URI_TOO_LONG));
    if (!request.is404) return done();
    const allowed = methodsFor(request.url, routes);
    if (allowed.length === 0 || allowed.includes(request.method)) return done(problem(404, httpErrors.NOT_FOUND));
    done(problem(405, httpErrors.METHOD_NOT_ALLOWED, { headers: { allow: allowed.join(", ") } }));
  });
}

function methodsFor(url: string, routes: readonly DeclaredRoute[]): string[] {
  const path = (url.split("?", 1)[0] ?? "").split("/");
  const fits = (pattern: string) => {
    const parts = pattern.split("/");
    return (
      parts.length === path.length &&
      parts.every((part, index) => part === path[index] || (part.startsWith(":") && path[index] !== ""))
    );
  };
  return [...new Set(routes.filter((route) => fits(route.url)).map((route) => route.method))].sort();
}

// Between two looks for connections that have become idle while the server stops.
const idleLookMs = 20;

/** Ends what would outlast a stop: streams, and connections that stay open after the answer of a request under way. */
function endConnectionsAtStop(http: HttpServer, streams: OpenStreams): void {
  http.addHook("preClose", async () => {
    for (const end of streams.ends) end();
    if (!http.server.listening) return;
    // Node closes idle connections once, when it begins to close; those busy at that moment would stay for 72 s.
    const look = setInterval(() => http.server.closeIdleConnections(), idleLookMs);
    http.server.once("close", () => clearInterval(look));
  });
}

function tellAnswered(http: HttpServer, onAnswered: (answered: AnsweredRequest) => void): void {
  http.addHook("onResponse", (request, reply, done) => {
    onAnswered({
      method: request.method,
      route: request.is404 ? undefined : request.routeOptions.url,
      status: reply.statusCode,
      seconds: reply.elapsedTime / 1_000,
    });
    done();
  });
}

interface Composition {
  readonly admission: Admission;
  readonly tokens: TokenVerifier;
  readonly routes: DeclaredRoute[];
}

/** Gives a route what every route has, once, when it is added: nothing of this is decided again per request. */
function completeRoute(route: RouteOptions, { admission, tokens, routes }: Composition): void {
  if (route.url.startsWith(referencePrefix)) {
    route.config = { ...route.config, access: "public" };
    return;
  }
  const access = route.config?.access;
  if (access === undefined)
    throw new Error(`${route.method} ${route.url} does not say who may call it (config.access).`);
  const takesBody = [route.method].flat().some((method) => ["POST", "PUT", "PATCH"].includes(method));
  route.schema = completeSchema(route, takesBody);
  route.onRequest = [
    ...(isHealthRoute(route.url) ? [] : [admission.admit]),
    ...[authenticator(access, tokens) ?? []].flat(),
    ...(route.config?.idempotent ? [requireIdempotencyKey] : []),
    ...[route.onRequest ?? []].flat(),
  ];
  if (!isHealthRoute(route.url)) route.handler = admission.bound(route.handler);
  const takes = route.schema as DeclaredRoute["takes"];
  for (const method of [route.method].flat()) routes.push({ method, url: route.url, access, takesBody, takes });
}

const requireIdempotencyKey: onRequestHookHandler = (request, _reply, done) => done(whyKeyRefused(request.headers));

function completeSchema(
  { schema, url, method }: RouteOptions,
  takesBody: boolean,
): NonNullable<RouteOptions["schema"]> {
  const { body, querystring, params, response } = (schema ?? {}) as Record<string, JsonSchema | undefined>;
  // An unchecked parameter would reach the database with whatever it has in it.
  if (url.includes(":") && params === undefined) throw new Error(`${method} ${url} has a parameter without a schema.`);
  return {
    ...schema,
    ...(takesBody && { body: body === undefined ? noBody : plain(closed(body)) }),
    ...(querystring && { querystring: plain(closed(querystring)) }),
    ...(params && { params: plain(closed(params)) }),
    ...(response && { response: mapResponses(response) }),
  };
}

const mapResponses = (response: JsonSchema): JsonSchema =>
  Object.fromEntries(Object.entries(response).map(([status, schema]) => [status, plain(schema as JsonSchema)]));
