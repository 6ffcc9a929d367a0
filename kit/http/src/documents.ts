/** What the server tells about itself: OpenAPI, a reference page that needs no internet, and the errors. */

import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyContextConfig } from "fastify";
import { declaredErrors } from "./errors.ts";
import { Problem, problemMediaType } from "./problem.ts";
import type { HttpServer } from "./route.ts";
import { type JsonSchema, noBody } from "./schemas.ts";

/** Routes under it belong to the reference page and are made by it. */
export const referencePrefix = "/reference";

/** Begins to listen to routes being added; called before the first of them. */
export async function documentRoutes(
  http: HttpServer,
  { title, version }: { title: string; version: string },
): Promise<void> {
  await http.register(swagger, {
    openapi: {
      openapi: "3.1.1",
      info: { title, version },
      components: {
        securitySchemes: { token: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
        schemas: { Problem: Problem as never },
      },
    },
    hideUntagged: false,
    transform: ({ schema, url, route }) => ({
      url,
      schema: documented(
        schema as JsonSchema | undefined,
        url,
        route.config as FastifyContextConfig | undefined,
      ) as never,
    }),
  });
  await http.register(swaggerUi, {
    routePrefix: referencePrefix,
    // The default asks a server on the internet whether the document is valid.
    uiConfig: { validatorUrl: null, deepLinking: true },
    staticCSP: true,
  });
}

/** Adds the routes of the documents themselves. */
export function serveDocuments(http: HttpServer): void {
  const hidden = { schema: { hide: true }, config: { access: "public" } } as const;
  http.get("/openapi.json", hidden, async () => http.swagger());
  http.get("/errors", hidden, async (_request, reply) => reply.type("text/html; charset=utf-8").send(errorPage()));
}

function documented(schema: JsonSchema | undefined, url: string, config: FastifyContextConfig | undefined): JsonSchema {
  if (schema?.hide === true || url.startsWith(referencePrefix)) return { hide: true };
  const { body, headers, response, ...rest } = schema ?? {};
  return {
    ...rest,
    tags: rest.tags ?? [tagOf(url)],
    ...(body !== noBody && body !== undefined && { body }),
    ...(config?.access !== "public" && { security: [{ token: [] }] }),
    ...(config?.idempotent === true
      ? { headers: withIdempotencyKey(headers as JsonSchema | undefined) }
      : headers !== undefined && { headers }),
    response: { ...(response as object | undefined), default: refusals },
  };
}

/** `/v1/admin/products/:sku` is about `products`. */
const tagOf = (url: string): string =>
  url.split("/").find((part) => part !== "" && part !== "v1" && part !== "admin") ?? "server";

function withIdempotencyKey(headers: JsonSchema | undefined): JsonSchema {
  const key = {
    type: "string",
    minLength: 1,
    maxLength: 255,
    description: "The same for every attempt at one request.",
  };
  return {
    type: "object",
    properties: { ...(headers?.properties as object | undefined), "idempotency-key": key },
    required: [...((headers?.required as string[] | undefined) ?? []), "idempotency-key"],
  };
}

const refusals = {
  description: "Refused, or failed.",
  content: { [problemMediaType]: { schema: { $ref: "#/components/schemas/Problem" } } },
};

function errorPage(): string {
  const rows = declaredErrors().map(
    ({ code, title, retryable, owner }) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${escapeHtml(title)}</td><td>${retryable ? "yes" : "no"}</td><td>${escapeHtml(owner)}</td></tr>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Errors</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}td,th{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top}tr:target{background:#ffd}</style>
<h1>Errors</h1><p>Branch on the code. What is retryable may succeed later, under the same Idempotency-Key.</p>
<table><thead><tr><th>Code</th><th>Meaning</th><th>Retryable</th><th>Declared by</th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table></html>`;
}

const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
