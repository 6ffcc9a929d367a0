/** Sends every route of a server what its schema does not allow, made from that schema: for the tests of whoever composes one. */

import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { problemMediaType } from "./problem.ts";
import { type DeclaredRoute, type HttpServer, routesOf } from "./route.ts";
import type { JsonSchema } from "./schemas.ts";
import type { AccessReport } from "./testing.ts";

/** A value with one thing wrong, and where. */
interface Wrong {
  readonly what: string;
  readonly pointer: string;
  readonly value: unknown;
  /** The schema says in so many words that it takes this. */
  readonly isTaken?: boolean;
}

type Part = "body" | "querystring" | "params";

/**
 * Changes one thing after the other in a request that fits: a field too many at each level, a field missing, each bounded
 * field beyond its bounds, each choice to something else. Every such request must be refused, naming the place. `token` may
 * call every route.
 */
export async function checkInput(http: HttpServer, token: string): Promise<AccessReport> {
  const reports = await Promise.all(
    routesOf(http)
      // The twin of a GET, which answers without a body.
      .filter(({ method }) => method !== "HEAD")
      .map((route) => checkRoute(http, route, token)),
  );
  return {
    checked: reports.reduce((sum, { checked }) => sum + checked, 0),
    faults: reports.flatMap(({ faults }) => faults),
  };
}

async function checkRoute(http: HttpServer, route: DeclaredRoute, token: string): Promise<AccessReport> {
  const name = `${route.method} ${route.url}`;
  const parts = Object.entries(partsOf(route));
  const good = Object.fromEntries(parts.map(([part, schema]) => [part, sampleOf(schema)]));
  const unfit = parts.filter(([part, schema]) => !fits(schema, good[part])).map(([part]) => `${name}: no ${part} fits`);
  if (unfit.length > 0) return { checked: 0, faults: unfit };

  const faults: string[] = [];
  let checked = 0;
  for (const [part, schema] of parts) {
    for (const { what, pointer, value, isTaken } of wrongsOf(schema, good[part], "")) {
      // A stranger's webhook may get new fields; what our own callers send may not.
      if (isTaken && route.access === "public") continue;
      // A path with an empty part, one too many or one too few is another path.
      if (part === "params" && (what === "empty" || what === "too many" || what === "missing")) continue;
      checked++;
      const fault = await whyLetIn(http, route, { ...good, [part]: value }, { token, pointer });
      if (fault !== undefined) faults.push(`${name} with ${part} ${pointer} ${what} ${fault}`);
    }
  }
  return { checked, faults };
}

function partsOf({ takes, takesBody }: DeclaredRoute): Readonly<Partial<Record<Part, JsonSchema>>> {
  const { body, querystring, params } = takes;
  return {
    ...(takesBody && body?.type === "object" && { body }),
    ...(querystring && { querystring }),
    ...(params && { params }),
  };
}

/** Undefined where the request was refused as it has to be. */
async function whyLetIn(
  http: HttpServer,
  { method, url, takesBody }: DeclaredRoute,
  { body, querystring, params }: Readonly<Partial<Record<Part, unknown>>>,
  { token, pointer }: { token: string; pointer: string },
): Promise<string | undefined> {
  const path = url.replaceAll(/:([^/]+)/g, (_, name: string) =>
    encodeURIComponent(String((params as Record<string, unknown>)?.[name])),
  );
  const answer = await http.inject({
    method: method as "GET",
    url: path,
    headers: { authorization: `Bearer ${token}`, "idempotency-key": "check-input" },
    ...(querystring !== undefined && { query: asText(querystring) }),
    ...(takesBody && body !== undefined && { payload: body as object }),
  });
  const isProblem = String(answer.headers["content-type"]).startsWith(problemMediaType);
  const { code, errors = [] } = isProblem ? (answer.json() as Refusal) : {};
  // What has to be signed is not read before; what is too large is not read to its end.
  if (code === "WEBHOOK_NOT_SIGNED" || code === "BODY_TOO_LARGE" || code === "URI_TOO_LONG") return undefined;
  if (code !== "VALIDATION_FAILED") return `answered ${answer.statusCode} ${code ?? ""}`;
  const isNamed = errors.some((error) => pointer.startsWith(error.pointer) || error.pointer.startsWith(pointer));
  return isNamed || errors.length === 0 ? undefined : `was refused for ${errors[0]?.pointer}`;
}

interface Refusal {
  readonly code?: string;
  readonly errors?: readonly { readonly pointer: string }[];
}

const asText = (query: unknown): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(query as object).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map(String) : String(value),
    ]),
  );

const fits = (schema: JsonSchema, value: unknown): boolean => Compile(schema as TSchema).Check(value);

/** Texts of the shapes that schemas ask for by pattern. A new shape needs a line here, or nothing is known of its route. */
const texts = [
  ...["x", "GBP", "en", "mail", "12345678", "somebody@example.com", "00000000-0000-7000-8000-000000000001"],
  ...["2026-11-22T09:00:00.000Z", "2026-11-22", "order.placed.v1", "online", "GB", "+441234567890", "0/0", "A1"],
  ...[
    "accounts",
    "accounts.consumer",
    "/a",
    "https://example.com/",
    "1",
    "0",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  ],
];

/** A value that fits the schema, optional fields included; undefined where none is known. */
export function sampleOf(schema: JsonSchema): unknown {
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const branches = branchesOf(schema);
  if (branches) return branches.map(sampleOf).find((value) => value !== undefined && fits(schema, value));
  if (Array.isArray(schema.allOf)) return Object.assign({}, ...(schema.allOf as JsonSchema[]).map(sampleOf));
  switch (typeOf(schema)) {
    case "object":
      return Object.fromEntries(
        Object.entries(propertiesOf(schema)).flatMap(([name, inner]) => {
          const value = sampleOf(inner);
          return value === undefined ? [] : [[name, value]];
        }),
      );
    case "array": {
      const length = Math.max(1, Number(schema.minItems ?? 0));
      return Array.from({ length }, () => sampleOf(schema.items as JsonSchema));
    }
    case "integer":
    case "number":
      return schema.minimum ?? Math.min(1, Number(schema.maximum ?? 1));
    case "boolean":
      return true;
    case "null":
      return null;
    case "string":
      return [...texts, "x".repeat(Number(schema.minLength ?? 1))].find((text) => fits(schema, text));
    default:
      return {};
  }
}

const typeOf = ({ type }: JsonSchema): unknown => (Array.isArray(type) ? type[0] : type);
const propertiesOf = ({ properties }: JsonSchema) => (properties ?? {}) as Record<string, JsonSchema>;
const branchesOf = ({ anyOf, oneOf }: JsonSchema): JsonSchema[] | undefined =>
  (anyOf ?? oneOf) as JsonSchema[] | undefined;

/** Everything that can be wrong in a value that fits, one thing at a time. */
function wrongsOf(schema: JsonSchema, good: unknown, pointer: string): Wrong[] {
  const branch = branchesOf(schema)?.find((inner) => fits(inner, good));
  if (branch) return wrongsOf(branch, good, pointer);
  const wrong = (what: string, value: unknown, at = pointer): Wrong => ({ what, pointer: at, value });
  if ("const" in schema || Array.isArray(schema.enum)) return [wrong("chosen otherwise", "no such choice")];
  switch (typeOf(schema)) {
    case "object":
      return wrongsOfObject(schema, good as Record<string, unknown>, pointer);
    case "array":
      return wrongsOfArray(schema, good as readonly unknown[], pointer);
    case "integer":
    case "number":
      return [
        wrong("of another type", "x"),
        ...(schema.type === "integer" ? [wrong("with a fraction", Number(good) + 0.5)] : []),
        ...(typeof schema.minimum === "number" ? [wrong("too small", schema.minimum - 1)] : []),
        ...(typeof schema.maximum === "number" ? [wrong("too large", schema.maximum + 1)] : []),
      ];
    case "boolean":
      return [wrong("of another type", "x")];
    case "string":
      return [
        ...(typeof schema.maxLength === "number" ? [wrong("too long", "x".repeat(schema.maxLength + 1))] : []),
        ...(Number(schema.minLength ?? 0) > 0 ? [wrong("empty", "")] : []),
        ...(typeof schema.pattern === "string" && !fits(schema, "\u0007") ? [wrong("of another form", "\u0007")] : []),
      ];
    default:
      return [];
  }
}

function wrongsOfObject(schema: JsonSchema, good: Record<string, unknown>, pointer: string): Wrong[] {
  // What names its fields itself takes any; a map of fields has no field too many.
  const extra = schema.properties === undefined ? [] : ["fieldThatNoRouteKnows"];
  const isTaken = schema.additionalProperties === true;
  return [
    ...extra.map((name) => ({
      what: "too many",
      pointer: `${pointer}/${name}`,
      value: { ...good, [name]: 1 },
      isTaken,
    })),
    ...((schema.required ?? []) as string[]).map((name) => {
      const { [name]: _, ...rest } = good;
      return { what: "missing", pointer: `${pointer}/${name}`, value: rest };
    }),
    ...Object.entries(propertiesOf(schema)).flatMap(([name, inner]) =>
      name in good
        ? wrongsOf(inner, good[name], `${pointer}/${name}`).map((it) => ({
            ...it,
            value: { ...good, [name]: it.value },
          }))
        : [],
    ),
  ];
}

function wrongsOfArray(schema: JsonSchema, good: readonly unknown[], pointer: string): Wrong[] {
  const [first, ...others] = good;
  const { maxItems, minItems } = schema;
  return [
    ...(Number(minItems ?? 0) > 0 ? [{ what: "empty", pointer, value: [] }] : []),
    ...(typeof maxItems === "number"
      ? [{ what: "too long", pointer, value: Array.from({ length: maxItems + 1 }, () => first) }]
      : []),
    ...wrongsOf(schema.items as JsonSchema, first, `${pointer}/0`).map((it) => ({
      ...it,
      value: [it.value, ...others],
    })),
  ];
}
