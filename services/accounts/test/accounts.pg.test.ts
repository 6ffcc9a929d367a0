import { accountRegistered } from "@onsale/contracts/accounts";
import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  type TokenSigner,
} from "@onsale/http";
import type { Database } from "@onsale/postgres";
import { ids, silentLogger } from "@onsale/runtime";
import { readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureOperator } from "../src/ensure-operator.ts";
import { accounts } from "../src/index.ts";

const realm = { issuer: "onsale", audience: "onsale" };
const operator = { email: "Operator@onsale.local", password: "not a secret at all" };

let server: TestDatabase;
let database: Database;
let tokens: TokenSigner;
let http: HttpServer;

beforeAll(async () => {
  server = await testDatabase({ services: [accounts] });
  database = server.open("accounts");
  tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  http = await createHttpServer({
    name: "accounts",
    version: "0",
    tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
    logger: silentLogger(),
  });
  accounts.routes(http, context());
});

afterAll(async () => {
  await http.close();
  await server.close();
});

const context = (given = operator) => ({
  database,
  ports: { clock: { now: () => new Date().toISOString() }, ids, tokens, operator: given },
  feeds: { passed: async () => true },
});

const post = async (url: string, payload: object, headers = {}) => {
  const answer = await http.inject({ method: "POST", url, payload, headers });
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === "" ? {} : answer.json() };
};

const register = (email: string, password = "correct horse") => post("/v1/accounts", { email, password, name: "Ann" });

test("who registers can log in, in any spelling of the address, and is told who they are", async () => {
  const { status, body } = await register("Ann@Example.com");
  expect(status).toBe(201);
  const { status: loggedIn, body: pair } = await post("/v1/tokens", {
    email: "ann@EXAMPLE.com",
    password: "correct horse",
  });
  expect(loggedIn).toBe(200);
  const me = await http.inject({ url: "/v1/accounts/me", headers: { authorization: `Bearer ${pair.accessToken}` } });
  expect(me.json()).toEqual({ accountId: body.accountId, role: "customer", email: "ann@example.com", name: "Ann" });
});

test("an account and its event are there together, and an address is registered once", async () => {
  const answers = await Promise.all([
    register("bob@example.com"),
    register("BOB@example.com"),
    register("bob@example.com"),
  ]);
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  expect(answers.find(({ status }) => status === 409)?.body.code).toBe("EMAIL_TAKEN");
  const accountId = answers.find(({ status }) => status === 201)?.body.accountId;
  const published = await readOutbox(database, accountRegistered);
  expect(published.filter(({ key }) => key === accountId)).toMatchObject([
    { type: "account.registered.v1", sequence: 1, data: { accountId, role: "customer" } },
  ]);
});

test("a wrong password and an unknown address get the same answer", async () => {
  await register("carol@example.com");
  const wrong = await post("/v1/tokens", { email: "carol@example.com", password: "wrong" });
  const unknown = await post("/v1/tokens", { email: "nobody@example.com", password: "wrong" });
  expect(wrong.status).toBe(401);
  expect({ ...wrong.body, trace_id: "" }).toEqual({ ...unknown.body, trace_id: "" });
  expect(Object.keys(wrong.headers)).toEqual(Object.keys(unknown.headers));
});

test("a refresh token works once; its second use ends the session for the newer one, too", async () => {
  await register("dave@example.com");
  const { body: first } = await post("/v1/tokens", { email: "dave@example.com", password: "correct horse" });
  const second = await post("/v1/tokens/refresh", { refreshToken: first.refreshToken });
  expect(second.status).toBe(200);
  expect(second.body.refreshToken).not.toBe(first.refreshToken);
  expect((await post("/v1/tokens/refresh", { refreshToken: first.refreshToken })).body.code).toBe(
    "REFRESH_TOKEN_REFUSED",
  );
  expect((await post("/v1/tokens/refresh", { refreshToken: second.body.refreshToken })).status).toBe(401);
});

test("of twenty who present one refresh token at once, at most one gets a pair, and it is dead afterwards", async () => {
  await register("erin@example.com");
  const { body } = await post("/v1/tokens", { email: "erin@example.com", password: "correct horse" });
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post("/v1/tokens/refresh", { refreshToken: body.refreshToken })),
  );
  const winners = answers.filter(({ status }) => status === 200);
  expect(winners).toHaveLength(1);
  expect((await post("/v1/tokens/refresh", { refreshToken: winners[0]?.body.refreshToken })).status).toBe(401);
});

test("who logs out is out", async () => {
  await register("frank@example.com");
  const { body } = await post("/v1/tokens", { email: "frank@example.com", password: "correct horse" });
  expect((await post("/v1/tokens/revoke", { refreshToken: body.refreshToken })).status).toBe(204);
  expect((await post("/v1/tokens/refresh", { refreshToken: body.refreshToken })).status).toBe(401);
  expect((await post("/v1/tokens/revoke", { refreshToken: "unknown" })).status).toBe(204);
});

test("a guest gets a token that names a new person each time, without a row anywhere", async () => {
  const [one, two] = await Promise.all([post("/v1/guests", {}), http.inject({ method: "POST", url: "/v1/guests" })]);
  expect([one.status, two.statusCode]).toEqual([201, 201]);
  const me = async (token: string) =>
    (await http.inject({ url: "/v1/accounts/me", headers: { authorization: `Bearer ${token}` } })).json();
  const [first, second] = [await me(one.body.accessToken), await me(two.json().accessToken)];
  expect([first.role, second.role]).toEqual(["guest", "guest"]);
  expect(first.accountId).not.toBe(second.accountId);
});

test("the configured operator can log in before any job ran, and with a changed password after the configuration changed", async () => {
  const { status, body } = await post("/v1/tokens", { email: "operator@onsale.local", password: operator.password });
  expect(status).toBe(200);
  const me = await http.inject({ url: "/v1/accounts/me", headers: { authorization: `Bearer ${body.accessToken}` } });
  expect(me.json().role).toBe("operator");

  const changed = { ...operator, password: "another password" };
  await Promise.all([ensureOperator(context(changed)), ensureOperator(context(changed))]);
  expect((await post("/v1/tokens", { email: operator.email, password: operator.password })).status).toBe(401);
  expect((await post("/v1/tokens", { email: operator.email, password: changed.password })).status).toBe(200);
  expect((await post("/v1/tokens/refresh", { refreshToken: body.refreshToken })).status).toBe(401);
});

test("nobody can register the operator's address first", async () => {
  expect((await register("OPERATOR@onsale.local")).body.code).toBe("EMAIL_TAKEN");
});

test.each([
  ["no @", { email: "ann", password: "correct horse", name: "Ann" }],
  ["a short password", { email: "x@example.com", password: "short", name: "Ann" }],
  ["an empty name", { email: "x@example.com", password: "correct horse", name: "" }],
  ["a role of their choice", { email: "x@example.com", password: "correct horse", name: "Ann", role: "operator" }],
  ["a NUL in the name", { email: "x@example.com", password: "correct horse", name: "A\u0000nn" }],
])("a registration with %s is refused", async (_what, payload) => {
  const { status, body } = await post("/v1/accounts", payload);
  expect([status, body.code]).toEqual([422, "VALIDATION_FAILED"]);
});

test("the published keys verify a token", async () => {
  const keys = (await http.inject({ url: "/.well-known/jwks.json" })).json();
  const verifier = createTokenVerifier({ publicKeys: keys, ...realm });
  const { body } = await post("/v1/guests", {});
  expect((await verifier.verify(body.accessToken)).role).toBe("guest");
});
