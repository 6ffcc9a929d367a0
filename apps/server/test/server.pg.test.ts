/** The services as the product composes them, on a database of their own and with a payment provider that is a process. */

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTokenSigner, createTokenVerifier, newTokenKey, type TokenSigner } from "@onsale/http";
import { type JsonSchema, sampleOf } from "@onsale/http/testing";
import { eagerAsking } from "@onsale/payments/ports";
import { ensureSecrets, type RunningProvider, startProvider } from "@onsale/provider-sim";
import { silentLogger } from "@onsale/runtime";
import { type TestDatabase, testDatabase, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compose, type RunningServer, startServer } from "../src/index.ts";

const realm = { issuer: "test", audience: "test" };
const operator = { email: "operator@onsale.example", password: "correct horse battery" };

let folder: string;
let database: TestDatabase;
let provider: RunningProvider & { name: string } & { apiSecret: string; webhookSecret: string };
let signer: TokenSigner;
let server: RunningServer;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onsale-server-"));
  const secretFile = join(folder, "provider.json");
  const secrets = await ensureSecrets(secretFile);
  // Nothing is migrated into it: that is the server's work.
  database = await testDatabase({ services: [] });
  provider = { name: "card-a", ...(await startProvider({ directory: folder, secretFile })), ...secrets };
  signer = await createTokenSigner({ ...realm, privateKey: newTokenKey() });
  port = await freePort();
  server = await start();
});
afterAll(async () => {
  await server.stop("end of the tests");
  await provider.stop();
  await database.close();
  await rm(folder, { recursive: true });
});

const start = (): Promise<RunningServer> =>
  startServer({
    adminUrl: database.adminUrl,
    port,
    version: "0.0.0",
    tokens: createTokenVerifier({ ...realm, publicKeys: signer.publicKeys }),
    logger: silentLogger(),
    composition: compose({
      url: `http://127.0.0.1:${port}`,
      tokens: signer,
      secret: "unused",
      operator,
      providers: [provider],
      asking: eagerAsking,
    }),
  });

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const address = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return address.port;
}

interface Call {
  readonly token?: string;
  readonly key?: string;
  readonly body?: unknown;
}

async function call(method: "GET" | "POST" | "PUT" | "DELETE", path: string, { token, key, body }: Call = {}) {
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(key !== undefined && { "idempotency-key": key }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown> };
}

async function tokenOf(path: string, body: unknown): Promise<string> {
  const answer = await call("POST", path, { body });
  return String(answer.body.accessToken);
}

/** Places an order and gives where it ends. */
async function order(token: string, key: string, quantity: number): Promise<unknown> {
  const body = { currency: "GBP", lines: [{ sku: "POSTER", quantity }], payment: { method: "card" } };
  const placed = await call("POST", "/v1/orders", { token, key, body });
  expect(placed.status).toBe(202);
  return await waitFor(async () => {
    const { status } = (await call("GET", `/v1/orders/${placed.body.orderId}`, { token })).body;
    return status === "PENDING" ? undefined : status;
  });
}

test("an order walks through all services; one beyond the stock does not", async () => {
  const seller = await waitFor(async () => {
    const token = await tokenOf("/v1/tokens", operator);
    return token === "undefined" ? undefined : token;
  });
  const product = { sku: "POSTER", name: "Poster", priceMinor: 1999, currency: "GBP" };
  expect((await call("POST", "/v1/admin/products", { token: seller, key: "p", body: product })).status).toBeLessThan(
    300,
  );
  const receipt = { sku: "POSTER", units: 3 };
  expect(
    (await call("POST", "/v1/admin/stock-receipts", { token: seller, key: "r", body: receipt })).status,
  ).toBeLessThan(300);
  const buyer = await tokenOf("/v1/guests", {});
  expect(await order(buyer, "first", 2)).toBe("CONFIRMED");
  expect(await order(buyer, "second", 2)).toBe("REJECTED");
  expect(await order(buyer, "third", 1)).toBe("CONFIRMED");
});

interface DocumentedRoute {
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: JsonSchema } } };
}

/** Something of a person's own for each kind of id that a buyer's route can name. */
async function belongings(token: string): Promise<Record<string, unknown>> {
  const wish = { currency: "GBP", lines: [{ sku: "POSTER", quantity: 1 }], payment: { method: "card" } };
  const { orderId } = (await call("POST", "/v1/orders", { token, key: "of my own", body: wish })).body;
  const seller = await tokenOf("/v1/tokens", operator);
  const hall = { sku: "HALL", units: ["A-1"] };
  expect((await call("POST", "/v1/admin/unit-pools", { token: seller, key: "hall", body: hall })).status).toBe(201);
  const wanted = { lines: [hall] };
  const { holds } = (await call("POST", "/v1/holds", { token, key: "a seat", body: wanted })).body as {
    holds: { holdId: string }[];
  };
  const where = { recipient: "Somebody", line1: "A street 1", city: "A city", country: "GB" };
  const { addressId } = (await call("POST", "/v1/accounts/me/addresses", { token, key: "mine", body: where })).body;
  const { sessions } = (await call("GET", "/v1/accounts/me/sessions", { token })).body as {
    sessions: { sessionId: string }[];
  };
  return { orderId, addressId, holdId: holds[0]?.holdId, sessionId: sessions[0]?.sessionId };
}

async function newCustomer(email: string): Promise<string> {
  const password = "correct horse battery";
  await call("POST", "/v1/accounts", { body: { email, password, name: "Somebody" } });
  return await tokenOf("/v1/tokens", { email, password });
}

test("another person's id opens no door; the list of doors is the server's own", async () => {
  const [owner, other] = [await newCustomer("owner@example.com"), await newCustomer("other@example.com")];
  const guest = await tokenOf("/v1/guests", {});
  const owned = await belongings(owner);
  const { paths } = (await call("GET", "/openapi.json")).body as {
    paths: Record<string, Record<string, DocumentedRoute & { security?: unknown }>>;
  };
  const doors = Object.entries(paths)
    .filter(([path]) => path.includes("{") && !path.startsWith("/v1/admin/"))
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, route]) => ({ path, method, route })))
    .filter(({ route }) => route.security !== undefined);
  expect(doors.length).toBeGreaterThanOrEqual(7);

  const letIn: string[] = [];
  for (const { path, method, route } of doors) {
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      // A new kind of id has to be added to what a person owns, or its doors are not tried.
      if (typeof owned[name] !== "string") throw new Error(`${path}: nobody owns a ${name} in this test.`);
      return owned[name];
    });
    const schema = route.requestBody?.content["application/json"].schema;
    const body = schema?.type === "object" ? { body: sampleOf(schema) } : {};
    for (const [who, token] of Object.entries({ other, guest })) {
      const { status } = await call(method.toUpperCase() as "GET", url, {
        token,
        key: `${who} ${method} ${url}`,
        ...body,
      });
      if (status !== 404 && status !== 403) letIn.push(`${method} ${path} answered ${status} to ${who}`);
    }
  }
  expect(letIn).toEqual([]);
  // They are the owner's, as before.
  expect((await call("GET", `/v1/orders/${owned.orderId}`, { token: owner })).status).toBe(200);
  const addresses = await call("GET", "/v1/accounts/me/addresses", { token: owner });
  expect(JSON.stringify(addresses.body)).toContain(String(owned.addressId));
});

test("health, metrics and documents are served", async () => {
  expect(await call("GET", "/health/ready")).toMatchObject({
    status: 200,
    body: {
      ready: true,
      checks: { accounts: "ok", catalog: "ok", inventory: "ok", orders: "ok", payments: "ok", notifications: "ok" },
    },
  });
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  for (const name of ["onsale_http_request_seconds", "onsale_events_applied_total", "nodejs_eventloop_lag_seconds"])
    expect(metrics).toContain(name);
  expect((await call("GET", "/openapi.json")).body).toMatchObject({ openapi: expect.stringMatching(/^3\.1/) });
});

test("a server that stops has let go of its port and its connections; the next one goes on with the same data", async () => {
  await server.stop("test");
  await expect(fetch(`${server.url}/health/live`)).rejects.toThrow();
  server = await start();
  const buyer = await tokenOf("/v1/guests", {});
  expect(await order(buyer, "sold out", 1)).toBe("REJECTED");
});

test("a port that is taken fails the start, which leaves nothing behind", async () => {
  await expect(start()).rejects.toThrow("EADDRINUSE");
  expect((await call("GET", "/health/ready")).status).toBe(200);
});
