import { accountRegistered } from "@onsale/contracts/accounts";
import { createTokenVerifier } from "@onsale/http";
import { readOutbox } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureAdmin } from "../src/ensure-admin.ts";
import { House, operator, passwordsHashed, realm } from "./house.ts";

let house: House;

beforeAll(async () => {
  house = await House.open();
});
afterAll(() => house.close());

test("who registers is logged in, can log in again in any spelling of the address, and is told who they are", async () => {
  const { status, body } = await house.register("Ann@Example.com");
  expect(status).toBe(201);
  const { body: refreshed } = await house.call("POST", "/v1/tokens/refresh", { refreshToken: body.refreshToken });
  for (const token of [body.accessToken, refreshed.accessToken]) {
    const { body: me } = await house.call("GET", "/v1/accounts/me", undefined, { token });
    expect(me.accountId).toBe(body.accountId);
  }
  const { status: loggedIn, body: pair } = await house.logIn("ann@EXAMPLE.com");
  expect(loggedIn).toBe(200);
  const me = await house.call("GET", "/v1/accounts/me", undefined, { token: pair.accessToken });
  expect(me.body).toEqual({ accountId: body.accountId, role: "customer", email: "ann@example.com", name: "Ann" });
});

test("an account and its event are there together, and an address is registered once", async () => {
  const spellings = ["bob@example.com", "BOB@example.com", "bob@example.com"];
  const answers = await Promise.all(spellings.map((email) => house.register(email)));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  expect(answers.find(({ status }) => status === 409)?.body.code).toBe("EMAIL_TAKEN");
  const accountId = answers.find(({ status }) => status === 201)?.body.accountId;
  const published = await readOutbox(house.database, accountRegistered);
  expect(published.filter(({ key }) => key === accountId)).toMatchObject([
    { type: "account.registered.v1", sequence: 1, data: { accountId, role: "customer" } },
  ]);
});

test("a wrong password and an unknown address get the same answer after the same work", async () => {
  await house.register("carol@example.com");
  const worked = async (email: string) => {
    const before = await passwordsHashed();
    const answer = await house.logIn(email, "wrong");
    return { answer, hashed: (await passwordsHashed()) - before };
  };
  const wrong = await worked("carol@example.com");
  const unknown = await worked("nobody@example.com");
  expect([wrong.hashed, unknown.hashed]).toEqual([1, 1]);
  expect(wrong.answer.status).toBe(401);
  expect({ ...wrong.answer.body, trace_id: "" }).toEqual({ ...unknown.answer.body, trace_id: "" });
  expect(Object.keys(wrong.answer.headers)).toEqual(Object.keys(unknown.answer.headers));
});

test("a guest gets a token that names a new person each time, without a row anywhere, and has no account", async () => {
  const [one, two] = await Promise.all([house.call("POST", "/v1/guests", {}), house.call("POST", "/v1/guests")]);
  expect([one.status, two.status]).toEqual([201, 201]);
  const me = async (token: string) => (await house.call("GET", "/v1/accounts/me", undefined, { token })).body;
  const [first, second] = [await me(one.body.accessToken), await me(two.body.accessToken)];
  expect([first.role, second.role]).toEqual(["guest", "guest"]);
  expect(first.accountId).not.toBe(second.accountId);
  const asked = { token: one.body.accessToken };
  expect((await house.call("GET", "/v1/accounts/me/addresses", undefined, asked)).status).toBe(403);
});

test("the configured operator is an admin, can log in before any job ran, and with a changed password after the configuration changed", async () => {
  const admin = await house.admin();
  expect((await admin.call("GET", "/v1/accounts/me")).body.role).toBe("admin");

  const changed = { ...operator, password: "another password" };
  await Promise.all([ensureAdmin(house.context(changed)), ensureAdmin(house.context(changed))]);
  expect((await house.logIn(operator.email, operator.password)).status).toBe(401);
  expect((await house.logIn(operator.email, changed.password)).status).toBe(200);
  expect((await house.refresh(admin.refreshToken)).status).toBe(401);
});

test("nobody can register the operator's address first", async () => {
  expect((await house.register("OPERATOR@onsale.local")).body.code).toBe("EMAIL_TAKEN");
});

test.each([
  ["no @", { email: "ann", password: "correct horse", name: "Ann" }],
  ["a short password", { email: "x@example.com", password: "short", name: "Ann" }],
  ["an empty name", { email: "x@example.com", password: "correct horse", name: "" }],
  ["a name of spaces", { email: "x@example.com", password: "correct horse", name: "  " }],
  ["a name of two lines", { email: "x@example.com", password: "correct horse", name: "A\nnn" }],
  ["a role of their choice", { email: "x@example.com", password: "correct horse", name: "Ann", role: "operator" }],
  ["a NUL in the name", { email: "x@example.com", password: "correct horse", name: "A\u0000nn" }],
])("a registration with %s is refused", async (_what, payload) => {
  const { status, body } = await house.call("POST", "/v1/accounts", payload);
  expect([status, body.code]).toEqual([422, "VALIDATION_FAILED"]);
});

test("the published keys verify a token", async () => {
  const { body: keys } = await house.call("GET", "/.well-known/jwks.json");
  const verifier = createTokenVerifier({ publicKeys: keys, ...realm });
  const { body } = await house.call("POST", "/v1/guests", {});
  expect((await verifier.verify(body.accessToken)).role).toBe("guest");
});
