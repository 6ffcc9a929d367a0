/** Every door of the whole shop, as it is composed: none can be forgotten, since the list comes from the router. */

import { randomUUID } from "node:crypto";
import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  routesOf,
} from "@onsale/http";
import { checkAccess, checkInput } from "@onsale/http/testing";
import { silentLogger } from "@onsale/runtime";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Composition, compose } from "../src/compose.ts";
import { addOperations } from "../src/operations/operations.ts";

const realm = { issuer: "test", audience: "test" };
const privateKey = newTokenKey();
const feeds = { passed: async () => true };

let database: TestDatabase;
let composition: Composition;
let http: HttpServer;

beforeAll(async () => {
  const tokens = await createTokenSigner({ ...realm, privateKey });
  const nobody = {
    name: "nobody",
    url: "http://127.0.0.1:9",
    apiSecret: "unused",
    webhookSecret: `whsec_${btoa("unused")}`,
  };
  const operator = { email: "operator@onsale.example", password: "correct horse battery" };
  composition = compose({ url: "http://127.0.0.1:9", tokens, secret: "unused", operator, providers: [nobody] });
  database = await testDatabase({ services: servicesOf(composition) });
  http = await createHttpServer({
    name: "Onsale",
    version: "0.0.0",
    tokens: createTokenVerifier({ ...realm, publicKeys: tokens.publicKeys }),
    logger: silentLogger(),
  });
  const hosted = composition.services.map((service) => ({ service, database: database.open(service.schema) }));
  for (const { service, database } of hosted) service.addRoutes(http, { database, feeds });
  addOperations(
    http,
    hosted.map(({ service: { name, readers }, database }) => ({ name, readers, database })),
  );
  await http.ready();
});
afterAll(async () => {
  await http.close();
  await composition.close();
  await database.close();
});

test("no route lets anybody in without a token, with a false one, with another's role, or with a field too many", async () => {
  const { checked, faults } = await checkAccess(http, { ...realm, privateKey });
  expect(faults).toEqual([]);
  expect(checked).toBeGreaterThan(100);
});

test("no route takes a field too many, one too few, or one beyond its bounds", async () => {
  const { checked, faults } = await checkInput(http, await adminToken());
  expect(faults).toEqual([]);
  expect(checked).toBeGreaterThan(500);
});

test.each(["2026-13-01", "2026-02-30", "2026-04-31", "0000-01-01", "1969-12-31"])(
  "%s is no moment to go back to: refused, and not by a fault of the server",
  async (day) => {
    const moment = `${day}T10:00:00.000Z`;
    const reset = { source: "catalog", reason: "a look back", dryRun: true, toTime: moment };
    const reconciliation = { repair: false, since: moment };
    const answers = [
      await asOperator("POST", "/v1/admin/consumers/orders/reset", reset),
      await asOperator("POST", "/v1/admin/payments/reconciliations", reconciliation),
    ];
    for (const answer of answers)
      expect(answer, answer.body).toMatchObject({
        statusCode: 422,
        body: expect.stringContaining("VALIDATION_FAILED"),
      });
  },
);

test.each(["dead-letters", "events", "operations"])(
  "a page of %s may be asked for without saying how long",
  async (list) => {
    expect((await asOperator("GET", `/v1/admin/${list}`)).statusCode).toBe(200);
  },
);

test("what operators do with events by hand is behind doors of this list", () => {
  const doors = routesOf(http).filter(({ url }) =>
    /^\/v1\/admin\/(dead-letter|redrives|consumers|outboxes|events|operations)/.test(url),
  );
  expect(doors.length).toBeGreaterThanOrEqual(19);
  expect(doors.filter(({ access }) => access !== "operator")).toEqual([]);
});

async function adminToken(): Promise<string> {
  const signer = await createTokenSigner({ ...realm, privateKey });
  return await signer.sign({ id: "00000000-0000-7000-8000-000000000001", role: "admin" }, 600);
}

async function asOperator(method: "GET" | "POST", url: string, payload?: object) {
  const headers = { authorization: `Bearer ${await adminToken()}`, "idempotency-key": randomUUID() };
  return await http.inject({ method, url, headers, ...(payload && { payload }) });
}

/** What a test database is made for: the last set of a service is its own, the others are the kit's. */
const servicesOf = ({ services }: Composition) =>
  services.map(({ name, migrations }) => {
    const own = migrations.at(-1);
    if (!own) throw new Error(`${name} has no migrations.`);
    return { name, migrations: own.directory };
  });
