import type { AddressInfo } from "node:net";
import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  type HttpServerOptions,
  newTokenKey,
  type Role,
} from "@onsale/http";
import type { FastifyBaseLogger } from "fastify";

export const realm = { privateKey: newTokenKey(), issuer: "test", audience: "test" };
export const signer = await createTokenSigner(realm);
const tokens = createTokenVerifier({ ...realm, publicKeys: signer.publicKeys });

export const personId = "0192f0c1-0000-7000-8000-000000000001";

/** The header that a person of this role sends. */
export const authorization = async (role: Role = "customer", id = personId) => ({
  authorization: `Bearer ${await signer.sign({ id, role }, 60)}`,
});

export interface Logged {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** A logger that keeps what it is told. */
export function listeningLogger(): { logger: FastifyBaseLogger; logged: Logged[] } {
  const logged: Logged[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void logged.push({ level, fields, message });
  const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
  const logger = {
    ...Object.fromEntries(levels.map((level) => [level, at(level)])),
    level: "debug",
    child: () => logger,
  };
  return { logger: logger as unknown as FastifyBaseLogger, logged };
}

/** A server with the routes that a test gives it. */
export async function serverWith(routes: (http: HttpServer) => void, options: Partial<HttpServerOptions> = {}) {
  const { logger, logged } = listeningLogger();
  const http = await createHttpServer({ name: "Test", version: "1.2.3", tokens, logger, ...options });
  routes(http);
  return { http, logged };
}

/** The same, listening on a free port. */
export async function listeningServer(routes: (http: HttpServer) => void, options: Partial<HttpServerOptions> = {}) {
  const { http, logged } = await serverWith(routes, options);
  await http.listen({ host: "127.0.0.1", port: 0 });
  const { port } = http.server.address() as AddressInfo;
  return { http, logged, port, url: `http://127.0.0.1:${port}` };
}
