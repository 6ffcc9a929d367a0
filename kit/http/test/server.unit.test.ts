import { defineErrors, type HttpServer, problem, routesOf } from "@onsale/http";
import { checkAccess } from "@onsale/http/testing";
import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { authorization, type Logged, personId, realm, serverWith } from "./server-for-tests.ts";

const errors = defineErrors("test", { TOO_SMALL: { title: "Too small.", retryable: true } });

const Thing = Type.Object({
  count: Type.Integer({ minimum: 0, maximum: 10 }),
  kind: Type.Optional(Type.Union([Type.Literal("a"), Type.Literal("b")])),
  label: Type.Optional(Type.Union([Type.String({ maxLength: 8 }), Type.Null()])),
  parts: Type.Optional(Type.Array(Type.Object({ name: Type.String() }), { maxItems: 3 })),
});

function routes(http: HttpServer): void {
  const params = Type.Object({ id: Type.String({ maxLength: 8 }) });
  const response = {
    200: Type.Object({
      count: Type.Integer(),
      kind: Type.Union([Type.Literal("a"), Type.Literal("b"), Type.Literal("c")]),
      label: Type.Union([Type.String(), Type.Null()]),
    }),
  };
  http.put(
    "/things/:id",
    { config: { access: "buyer" }, schema: { params, body: Thing, response } },
    async ({ body }) => {
      if (body.count === 0)
        throw problem(409, errors.TOO_SMALL, { detail: "Zero is too small.", retryAfterSeconds: 3 });
      return {
        count: body.count,
        kind: body.kind ?? "c",
        label: body.label ?? null,
        secret: "not in the schema",
      } as never;
    },
  );
  http.get("/things/:id", { config: { access: "public" }, schema: { params } }, async ({ params: { id } }) => ({ id }));
  http.post("/nothing", { config: { access: "public" } }, async () => ({ fine: true }));
  http.post("/keyed", { config: { access: "buyer", idempotent: true }, schema: { body: Thing } }, async () => ({
    fine: true,
  }));
  http.get("/me", { config: { access: "buyer" } }, async ({ person, cause }) => ({ person, cause }));
  http.get("/operators", { config: { access: "operator" } }, async ({ person }) => person);
  http.get("/members", { config: { access: "account" } }, async ({ person }) => person);
  http.get("/admins", { config: { access: "admin" } }, async ({ person }) => person);
  http.get("/nobody", { config: { access: "public" } }, async ({ person }) => person);
  http.get("/broken", { config: { access: "public" } }, async () => {
    throw new Error("the secret is hunter2");
  });
  http.get("/strange", { config: { access: "public" } }, async () => {
    throw "not even an error";
  });
  http.get(
    "/search",
    {
      config: { access: "public" },
      schema: {
        querystring: Type.Object({
          limit: Type.Optional(Type.Integer()),
          price: Type.Optional(Type.Number()),
          deep: Type.Optional(Type.Boolean()),
          tag: Type.Optional(Type.Array(Type.String())),
        }),
      },
    },
    async ({ query }) => query,
  );
}

let http: HttpServer;
let logged: Logged[];
let buyer: { authorization: string };

beforeAll(async () => {
  ({ http, logged } = await serverWith(routes));
  buyer = await authorization();
});
afterAll(() => http.close());

const json = { "content-type": "application/json" };

async function put(payload: string | object, headers: Record<string, string> = {}, url = "/things/1") {
  return http.inject({
    method: "PUT",
    url,
    payload,
    headers: { ...buyer, ...(typeof payload === "string" && json), ...headers },
  });
}

test("a good request is answered with what the schema names, and nothing else", async () => {
  const answer = await put({ count: 3, kind: "b", label: 'a "quoted"'.slice(0, 8) });
  expect([answer.statusCode, answer.json()]).toEqual([200, { count: 3, kind: "b", label: 'a "quote' }]);
  expect((await put({ count: 3, label: null })).json()).toEqual({ count: 3, kind: "c", label: null });
});

test("a refusal is a problem with a code, and names its trace", async () => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const answer = await put({ count: 0 }, { traceparent: `00-${trace}-b7ad6b7169203331-01` });
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(answer.headers["retry-after"]).toBe("3");
  expect(answer.json()).toEqual({
    type: "/errors#TOO_SMALL",
    title: "Too small.",
    status: 409,
    code: "TOO_SMALL",
    detail: "Zero is too small.",
    retryable: true,
    trace_id: trace,
  });
});

const nested = `{"count":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;

test.each([
  ["an unknown field", { count: 1, price: 5 }, 422, "VALIDATION_FAILED", "/price"],
  [
    "an unknown field deep inside",
    { count: 1, parts: [{ name: "x", price: 5 }] },
    422,
    "VALIDATION_FAILED",
    "/parts/0/price",
  ],
  ["a missing field", {}, 422, "VALIDATION_FAILED", "/count"],
  ["a number as text", { count: "1" }, 422, "VALIDATION_FAILED", "/count"],
  ["a boolean for a number", { count: true }, 422, "VALIDATION_FAILED", "/count"],
  ["null for a number", { count: null }, 422, "VALIDATION_FAILED", "/count"],
  ["a negative number", { count: -1 }, 422, "VALIDATION_FAILED", "/count"],
  ["a fraction", { count: 1.5 }, 422, "VALIDATION_FAILED", "/count"],
  ["10^12", { count: 1e12 }, 422, "VALIDATION_FAILED", "/count"],
  ["a number too large for one", '{"count":1e999}', 422, "VALIDATION_FAILED", "/count"],
  ["a word that is not offered", { count: 1, kind: "z" }, 422, "VALIDATION_FAILED", "/kind"],
  ["a list for an object", [], 422, "VALIDATION_FAILED", ""],
  ["null", "null", 422, "VALIDATION_FAILED", ""],
  ["a NUL character", { count: 1, label: "a\u0000" }, 422, "VALIDATION_FAILED", undefined],
  ["half of a surrogate pair", '{"count":1,"label":"\\ud800"}', 422, "VALIDATION_FAILED", undefined],
  ["a NUL in a field's name", '{"count":1,"\\u0000":1}', 422, "VALIDATION_FAILED", undefined],
  ["brackets 200,000 deep", nested, 422, "VALIDATION_FAILED", "/count"],
  ["no JSON", "hello", 400, "MALFORMED_JSON", undefined],
  ["half of a JSON", '{"count":', 400, "MALFORMED_JSON", undefined],
  ["a forged prototype", '{"count":1,"__proto__":{"x":1}}', 400, "MALFORMED_JSON", undefined],
  ["a forged prototype in escapes", '{"count":1,"\\u005f_proto__":{"x":1}}', 400, "MALFORMED_JSON", undefined],
  ["a forged constructor", '{"count":1,"constructor":{"prototype":{"x":1}}}', 400, "MALFORMED_JSON", undefined],
])("%s is refused", async (_what, payload, status, code, pointer) => {
  const answer = await put(payload);
  expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
  expect(answer.json().errors?.[0]?.pointer).toBe(pointer);
});

test.each([
  ["an empty body", { payload: "", headers: json }, 422, "VALIDATION_FAILED"],
  ["no body", {}, 422, "VALIDATION_FAILED"],
  ["text", { payload: "{}", headers: { "content-type": "text/plain" } }, 415, "UNSUPPORTED_MEDIA_TYPE"],
  [
    "a form",
    { payload: "count=1", headers: { "content-type": "application/x-www-form-urlencoded" } },
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  ["no content type", { payload: Buffer.from("{}") }, 415, "UNSUPPORTED_MEDIA_TYPE"],
  ["a broken content type", { payload: "{}", headers: { "content-type": ";;;" } }, 415, "UNSUPPORTED_MEDIA_TYPE"],
  [
    "an encoded body",
    { payload: "{}", headers: { ...json, "content-encoding": "gzip" } },
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  ["bytes that are not UTF-8", { payload: Buffer.from([0x22, 0xff, 0x22]), headers: json }, 400, "MALFORMED_JSON"],
  ["a body over the limit", { payload: { count: 1, label: "x".repeat(1024 * 1024) } }, 413, "BODY_TOO_LARGE"],
])(
  "%s is refused",
  async (_what, {
    payload,
    headers,
  }: { payload?: string | object; headers?: Record<string, string> }, status, code) => {
    const answer = await http.inject({
      method: "PUT",
      url: "/things/1",
      ...(payload !== undefined && { payload }),
      headers: { ...buyer, ...headers },
    });
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
  },
);

test("a route without a body schema takes no body but an empty object", async () => {
  const post = (payload?: object) => http.inject({ method: "POST", url: "/nothing", ...(payload && { payload }) });
  expect((await post()).statusCode).toBe(200);
  expect((await post({})).statusCode).toBe(200);
  expect((await http.inject({ method: "POST", url: "/nothing", headers: json })).statusCode).toBe(200);
  expect((await post({ a: 1 })).statusCode).toBe(422);
  expect((await post([])).statusCode).toBe(422);
});

test.each([
  ["GET", "/unknown", 404, "NOT_FOUND", undefined],
  ["POST", "/unknown", 404, "NOT_FOUND", undefined],
  ["GET", "/things", 404, "NOT_FOUND", undefined],
  ["GET", "/things/1/", 404, "NOT_FOUND", undefined],
  ["DELETE", "/things/1", 405, "METHOD_NOT_ALLOWED", "GET, HEAD, PUT"],
  ["PATCH", "/nothing", 405, "METHOD_NOT_ALLOWED", "POST"],
  ["OPTIONS", "/nothing", 405, "METHOD_NOT_ALLOWED", "POST"],
  ["GET", "/things/%ff", 400, "MALFORMED_REQUEST", undefined],
  ["GET", "/things/%00", 400, "VALIDATION_FAILED", undefined],
  ["GET", "/things/123456789", 400, "VALIDATION_FAILED", undefined],
  ["GET", `/things/${"x".repeat(3_000)}`, 414, "URI_TOO_LONG", undefined],
  ["GET", `/search?tag=${"x".repeat(3_000)}`, 414, "URI_TOO_LONG", undefined],
] as const)("%s %s is answered %i %s", async (method, url, status, code, allow) => {
  const answer = await http.inject({
    method,
    url,
    ...(method === "POST" && { payload: "not JSON", headers: { "content-type": "text/plain" } }),
  });
  expect([answer.statusCode, answer.json().code, answer.headers.allow]).toEqual([status, code, allow]);
  expect(answer.headers["content-type"]).toBe("application/problem+json");
});

test("what a query says is read as the type that its schema names, exactly", async () => {
  const answer = await http.inject({ url: "/search?limit=-7&price=1.50&deep=true&tag=a" });
  expect(answer.json()).toEqual({ limit: -7, price: 1.5, deep: true, tag: ["a"] });
});

test.each([
  "limit=1.5",
  "limit=1e3",
  "limit=0x1",
  "limit=",
  "limit=9007199254740993",
  "limit=1&limit=2",
  "deep=yes",
  "deep=1",
  "other=1",
  "tag=%00",
  "__proto__=1",
])("the query %s is refused", async (query) => {
  const answer = await http.inject({ url: `/search?${query}` });
  expect([answer.statusCode, answer.json().code]).toEqual([400, "VALIDATION_FAILED"]);
});

test("a failure tells the client nothing and the log everything", async () => {
  for (const [url, told] of [
    ["/broken", "the secret is hunter2"],
    ["/strange", "not even an error"],
  ] as const) {
    const answer = await http.inject({ url });
    expect([answer.statusCode, answer.json().code]).toEqual([500, "INTERNAL"]);
    expect(answer.body).not.toContain(told);
    const line = logged.find(({ fields }) => fields.trace_id === answer.json().trace_id);
    expect(line?.level).toBe("error");
    expect(String(line?.fields.err)).toContain(told);
  }
});

test("a request carries its person and cause; a public route has no person", async () => {
  const headers = {
    ...buyer,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-correlation-id": "order-7",
  };
  expect((await http.inject({ url: "/me", headers })).json()).toEqual({
    person: { id: personId, role: "customer" },
    cause: { correlationId: "order-7", traceparent: headers.traceparent },
  });
  const { cause } = (
    await http.inject({ url: "/me", headers: { ...buyer, traceparent: "00-0-0-00", "x-correlation-id": "a b" } })
  ).json();
  expect(cause.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(cause.correlationId).toBe(cause.traceparent.slice(3, 35));
  expect((await http.inject({ url: "/nobody", headers: buyer })).statusCode).toBe(500);
});

test("a keyed route refuses a request without a usable Idempotency-Key", async () => {
  const keyed = (headers: Record<string, string>) =>
    http.inject({ method: "POST", url: "/keyed", payload: { count: 1 }, headers: { ...buyer, ...headers } });
  expect((await keyed({})).json().code).toBe("IDEMPOTENCY_KEY_MISSING");
  for (const key of ["", "x".repeat(256), "über", " x", "a\tb"]) {
    expect([key, (await keyed({ "idempotency-key": key })).json().code]).toEqual([key, "IDEMPOTENCY_KEY_INVALID"]);
  }
  expect((await keyed({ "idempotency-key": "x".repeat(255) })).statusCode).toBe(200);
});

describe("who may come in", () => {
  test("every door is shut to whoever does not have its key", async () => {
    const { checked, faults } = await checkAccess(http, realm);
    expect(faults).toEqual([]);
    // Six doors with thirteen false keys each, three of them with one to three keys that open less, and three bodies.
    expect(checked).toBeGreaterThan(6 * 13);
  });

  test("the check finds a door that is open", async () => {
    const { http: careless } = await serverWith(
      (http) => {
        http.get("/open", { config: { access: "operator" } }, async () => ({}));
      },
      {
        tokens: {
          known: () => ({ id: personId, role: "customer" }),
          verify: async () => ({ id: personId, role: "customer" }),
        },
      },
    );
    const { faults } = await checkAccess(careless, realm);
    expect(faults).toContain("GET /open with garbage answered 403");
    await careless.close();
  });

  test("where a request comes from is what its connection says, and what those say who are trusted", async () => {
    const where = async (trustedProxies?: string) => {
      const { http: behind } = await serverWith(
        (it) => void it.get("/ip", { config: { access: "public" } }, async ({ ip }) => ({ ip })),
        trustedProxies === undefined ? {} : { trustedProxies },
      );
      const headers = { "x-forwarded-for": "198.51.100.9, 203.0.113.5" };
      const { ip } = (await behind.inject({ url: "/ip", headers, remoteAddress: "192.0.2.1" })).json();
      await behind.close();
      return ip;
    };
    // The leftmost may be what the client itself wrote: it counts only when everybody after it is trusted.
    expect([await where(), await where("10.0.0.0/8"), await where("192.0.2.1")]).toEqual([
      "192.0.2.1",
      "192.0.2.1",
      "203.0.113.5",
    ]);
    expect(await where("192.0.2.0/24,203.0.113.5")).toBe("198.51.100.9");
  });

  test("an expired token is told apart, so that a client knows to refresh", async () => {
    const signed = await import("@onsale/http").then(({ createTokenSigner }) => createTokenSigner(realm));
    const headers = { authorization: `Bearer ${await signed.sign({ id: personId, role: "guest" }, -1)}` };
    const answer = await http.inject({ url: "/me", headers });
    expect([answer.json().code, answer.headers["www-authenticate"]]).toEqual([
      "TOKEN_EXPIRED",
      'Bearer error="invalid_token"',
    ]);
  });

  test("a route that does not say who may call it does not start", async () => {
    await expect(serverWith((http) => void http.get("/forgotten", async () => ({})))).rejects.toThrow(
      "GET /forgotten does not say who may call it",
    );
  });

  test("a route with a parameter that nobody checks does not start", async () => {
    await expect(
      serverWith((http) => void http.get("/x/:id", { config: { access: "public" } }, async () => ({}))),
    ).rejects.toThrow("has a parameter without a schema");
  });
});

describe("what the server tells about itself", () => {
  test("OpenAPI 3.1 lists the routes with who may call them, and the reference page needs nothing from elsewhere", async () => {
    const document = (await http.inject({ url: "/openapi.json" })).json();
    expect(document.openapi).toBe("3.1.1");
    expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(["/things/{id}", "/keyed", "/health/ready"]));
    const { put: change } = document.paths["/things/{id}"];
    expect(change.security).toEqual([{ token: [] }]);
    expect(change.requestBody.content["application/json"].schema.additionalProperties).toBe(false);
    expect(change.responses.default.content["application/problem+json"]).toBeDefined();
    expect(document.paths["/keyed"].post.parameters).toContainEqual(
      expect.objectContaining({ in: "header", name: "idempotency-key", required: true }),
    );
    expect(document.paths["/nothing"].post.requestBody).toBeUndefined();

    const page = await http.inject({ url: "/reference/" });
    expect(page.statusCode).toBe(200);
    const links = [...page.body.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, link]) => link ?? "");
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) {
      expect((await http.inject({ url: new URL(link, "http://x/reference/").pathname })).statusCode, link).toBe(200);
    }
    expect(page.headers["content-security-policy"]).toBeDefined();
  });

  test("the page of errors has every declared code", async () => {
    const page = (await http.inject({ url: "/errors" })).body;
    for (const code of ["TOO_SMALL", "VALIDATION_FAILED", "OVERLOADED"]) expect(page).toContain(`id="${code}"`);
  });

  test("live, ready and metrics answer; not ready is 503", async () => {
    let ready = true;
    const { http: watched } = await serverWith(() => undefined, {
      readiness: async () => ({ ready, checks: { database: ready ? "ok" : "gone" } }),
      metrics: async () => ({ contentType: "text/plain; version=0.0.4", body: "up 1\n" }),
    });
    expect((await watched.inject({ url: "/health/live" })).json()).toEqual({ live: true });
    expect((await watched.inject({ url: "/health/ready" })).statusCode).toBe(200);
    ready = false;
    const answer = await watched.inject({ url: "/health/ready" });
    expect([answer.statusCode, answer.json()]).toEqual([503, { ready: false, checks: { database: "gone" } }]);
    expect((await watched.inject({ url: "/metrics" })).body).toBe("up 1\n");
    await watched.close();
  });

  test("every answered request is told with its route, not its address", async () => {
    const told: unknown[] = [];
    const { http: measured } = await serverWith(routes, {
      onAnswered: ({ seconds, ...rest }) => told.push({ ...rest, took: seconds >= 0 }),
    });
    await measured.inject({ url: "/things/1" });
    await measured.inject({ url: "/unknown/1" });
    expect(told).toEqual([
      { method: "GET", route: "/things/:id", status: 200, took: true },
      { method: "GET", route: undefined, status: 404, took: true },
    ]);
    await measured.close();
  });

  test("the list of routes has each once, and none of the reference page's", () => {
    const routes = routesOf(http).map(({ method, url }) => `${method} ${url}`);
    expect(new Set(routes).size).toBe(routes.length);
    expect(routes).toContain("PUT /things/:id");
    expect(routes.filter((route) => route.includes("reference"))).toEqual([]);
  });
});

test("a code has one meaning", () => {
  expect(() => defineErrors("elsewhere", { TOO_SMALL: { title: "Something else.", retryable: false } })).toThrow(
    "different meanings",
  );
  expect(() => defineErrors("elsewhere", { "too small": { title: "x", retryable: false } })).toThrow(
    "not an error code",
  );
});
