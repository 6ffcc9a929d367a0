import { Type } from "typebox";
import type { HttpServer } from "./route.ts";

/** Whether the server can do its work now, and each thing that this depends on in a word. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

export interface HealthOptions {
  /** Default: ready. */
  readonly readiness?: () => Promise<Readiness>;
  /** The exposition for Prometheus. Default: none, and no route. */
  readonly metrics?: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

const Checks = Type.Object({ ready: Type.Boolean(), checks: Type.Record(Type.String(), Type.String()) });

/** Answers to machines that watch the server. They are never refused for overload: a busy server is not a dead one. */
export function serveHealth(http: HttpServer, { readiness, metrics }: HealthOptions): void {
  const config = { access: "public" } as const;
  http.get(
    "/health/live",
    { config, schema: { response: { 200: Type.Object({ live: Type.Boolean() }) } } },
    async () => ({ live: true }),
  );
  http.get("/health/ready", { config, schema: { response: { 200: Checks, 503: Checks } } }, async (_request, reply) => {
    const state = (await readiness?.()) ?? { ready: true, checks: {} };
    return reply.code(state.ready ? 200 : 503).send(state);
  });
  if (metrics === undefined) return;
  http.get("/metrics", { config, schema: { hide: true } }, async (_request, reply) => {
    const { contentType, body } = await metrics();
    return reply.type(contentType).send(body);
  });
}

export const isHealthRoute = (url: string): boolean => url.startsWith("/health/") || url === "/metrics";
