import { randomBytes } from "node:crypto";
import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  type Role,
  type TokenSigner,
} from "@onsale/http";
import { type Database, nullable, sql, text } from "@onsale/postgres";
import { silentLogger } from "@onsale/runtime";
import type { TestDatabase } from "@onsale/testing";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { payments } from "../src/index.ts";
import { readPayments } from "../src/store/payment.ts";
import {
  contextWith,
  hear,
  LossyProvider,
  openTill,
  orderId,
  payable,
  portsWith,
  secured,
  states,
  told,
  unsettledCount,
} from "./till.ts";

const realm = { issuer: "onsale", audience: "onsale" };
const secrets = [1, 2].map(() => `whsec_${randomBytes(32).toString("base64")}`);

let own: TestDatabase;
let database: Database;
let tokens: TokenSigner;
let http: HttpServer;
const provider = new LossyProvider();
const other = new LossyProvider();

beforeAll(async () => {
  own = await openTill();
  database = own.open("payments");
  tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  http = await createHttpServer({
    name: "payments",
    version: "0",
    tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
    logger: silentLogger(),
  });
  const ports = portsWith(provider, other);
  const providers = ports.providers.map((it) => ({ ...it, webhookSecrets: secrets }));
  payments.routes(http, contextWith(database, provider, { ...ports, providers }));
});
afterAll(async () => {
  await http.close();
  await own.close();
});

/** What the provider would tell of a movement of this order. */
async function eventOf(number: number, kind: "authorise" | "capture", change: object = {}) {
  const payment = (await readPayments(database, [orderId(number)])).get(orderId(number));
  const data = {
    id: `pay_${payment?.paymentId}.authorise`,
    reference: orderId(number),
    status: "authorised",
    amountMinor: 1000,
    currency: "GBP",
  };
  const movement = {
    number: 1,
    kind,
    key: `${payment?.paymentId}.${kind}`,
    amountMinor: 1000,
    at: "2026-11-21T09:00:00.000Z",
  };
  return {
    id: `evt_${number}_${kind}`,
    type: "payment.authorised",
    createdAt: movement.at,
    data: { ...data, movement, ...change },
  };
}

async function post(
  body: object | string,
  { secret = secrets[0] ?? "", at = new Date(), headers = {}, to = "card-a" } = {},
) {
  const payload = typeof body === "string" ? body : JSON.stringify(body);
  const id = `msg_${randomBytes(8).toString("hex")}`;
  const answer = await http.inject({
    method: "POST",
    url: `/v1/webhooks/card-providers/${to}`,
    payload,
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
      "webhook-signature": new Webhook(secret).sign(id, at, payload),
      ...headers,
    },
  });
  return { status: answer.statusCode, body: answer.json() };
}

const resultSql = sql("test.webhook-result", { takes: [text], gives: { result: text, refusal: nullable(text) } })`
  select result, refusal from payments.webhook_received where event_id = $1`;
const resultOf = async (eventId: string) => (await database.query(resultSql, [eventId]))[0];
const factsOf = async (number: number) => (await told(database)).filter((it) => it.startsWith(`${number} `));

test("a webhook settles an outcome that nobody knew, and counts once", async () => {
  provider.lose("authorise", "answer");
  await hear(database, provider, [payable(1)]);
  expect(await unsettledCount(database)).toBe(1);
  const event = await eventOf(1, "authorise");
  expect(await post({ events: [event] })).toEqual({ status: 200, body: { accepted: 1 } });
  expect(await factsOf(1)).toEqual(["1 authorised 1"]);
  expect(await unsettledCount(database)).toBe(0);
  expect(await resultOf(event.id)).toEqual({ result: "SETTLES", refusal: null });
  expect(await post({ events: [event, event] })).toMatchObject({ status: 200 });
  expect(await factsOf(1)).toEqual(["1 authorised 1"]);
});

test("the same event many times at once settles once", async () => {
  provider.lose("authorise", "answer");
  await hear(database, provider, [payable(2)]);
  const event = await eventOf(2, "authorise");
  const answers = await Promise.all(Array.from({ length: 12 }, () => post({ events: [event] })));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));
  expect(await factsOf(2)).toEqual(["2 authorised 1"]);
});

test("an event that comes late or early does nothing and leaves nothing, however often it comes", async () => {
  await hear(database, provider, [payable(3)]);
  await hear(database, provider, [secured(3)]);
  const event = await eventOf(3, "authorise");
  expect(await post({ events: [event] })).toMatchObject({ status: 200 });
  expect(await post({ events: [event] })).toMatchObject({ status: 200 });
  expect(await resultOf(event.id)).toBeUndefined();
  expect(await factsOf(3)).toEqual(["3 authorised 1", "3 captured 2"]);
});

test("an event that does not fit is refused and recorded; the others of its message count", async () => {
  provider.lose("authorise", "answer", 2);
  await hear(database, provider, [payable(4), payable(5)]);
  const good = await eventOf(4, "authorise");
  const wrong = await eventOf(5, "authorise", { amountMinor: 1 });
  const stranger = await eventOf(77, "authorise", { reference: "not-even-an-order" });
  const refused = await post({ events: [good, wrong, stranger] });
  expect(refused).toMatchObject({ status: 422, body: { code: "WEBHOOK_DOES_NOT_FIT" } });
  expect(await factsOf(4)).toEqual(["4 authorised 1"]);
  expect((await states(database)).find((it) => it.startsWith("5 "))).toBe("5 AUTHORISING 0-0 authorise");
  expect(await resultOf(wrong.id)).toEqual({ result: "REFUSED", refusal: "AMOUNT" });
  expect(await resultOf(stranger.id)).toEqual({ result: "REFUSED", refusal: "UNKNOWN_ORDER" });
});

test("both live secrets count; a forged, stale or changed message is refused, whatever its form", async () => {
  const events = [await eventOf(1, "capture")];
  expect(await post({ events }, { secret: secrets[1] ?? "" })).toMatchObject({ status: 200 });
  const forged = { status: 401, body: { code: "WEBHOOK_NOT_SIGNED" } };
  expect(await post({ events }, { secret: `whsec_${randomBytes(32).toString("base64")}` })).toMatchObject(forged);
  expect(await post({ events }, { at: new Date(Date.now() - 6 * 60_000) })).toMatchObject(forged);
  expect(await post({ events }, { headers: { "webhook-id": "msg_other" } })).toMatchObject(forged);
  expect(await post({ nonsense: true }, { headers: { "webhook-signature": "v1,AAAA" } })).toMatchObject(forged);
});

test("a signed message of another form is refused with a clear problem", async () => {
  expect(await post({ events: [] })).toMatchObject({ status: 422, body: { code: "VALIDATION_FAILED" } });
  expect(await post({ nonsense: true })).toMatchObject({ status: 422, body: { code: "VALIDATION_FAILED" } });
  expect(await post('{"events":')).toMatchObject({ status: 400, body: { code: "MALFORMED_JSON" } });
});

const show = async (number: number, role: Role) => {
  const authorization = `Bearer ${await tokens.sign({ id: orderId(99), role }, 60)}`;
  const answer = await http.inject({
    method: "GET",
    url: `/v1/admin/payments/${orderId(number)}`,
    headers: { authorization },
  });
  return { status: answer.statusCode, body: answer.json() };
};

test("an operator sees a payment with its ledger and what did not go straight", async () => {
  provider.lose("capture", "answer");
  await hear(database, provider, [payable(6)]);
  await hear(database, provider, [secured(6)]);
  expect(await show(6, "operator")).toMatchObject({
    status: 200,
    body: {
      status: "CAPTURING",
      openQuestion: { isUnsettled: true, amountMinor: 1000 },
      ledger: [],
      incidents: [{ what: "UNKNOWN", movement: "capture" }],
    },
  });
  expect(await show(3, "operator")).toMatchObject({
    status: 200,
    body: {
      status: "CAPTURED",
      openQuestion: null,
      ledger: [
        { account: "orders", amountMinor: -1000 },
        { account: "provider", amountMinor: 1000 },
      ],
    },
  });
  expect(await show(1234, "operator")).toMatchObject({ status: 404, body: { code: "PAYMENT_NOT_FOUND" } });
  expect((await show(3, "customer")).status).toBe(403);
});

test("a webhook of another provider, or of one that we do not have, settles nothing", async () => {
  provider.lose("authorise", "answer");
  await hear(database, provider, [payable(8)]);
  const events = [await eventOf(8, "authorise")];
  expect(await post({ events }, { to: "card-b" })).toMatchObject({ status: 422 });
  expect(await post({ events }, { to: "card-c" })).toMatchObject({ status: 401 });
  expect(await show(8, "operator")).toMatchObject({
    body: { status: "AUTHORISING", incidents: [{ what: "WEBHOOK_REFUSED" }, { what: "UNKNOWN" }] },
  });
  expect(await post({ events })).toMatchObject({ status: 200 });
});

const providers = async (role: Role, choice?: object) => {
  const authorization = `Bearer ${await tokens.sign({ id: orderId(99), role }, 60)}`;
  const answer = choice
    ? await http.inject({
        method: "POST",
        url: "/v1/admin/payment-providers/active",
        headers: { authorization },
        payload: choice,
      })
    : await http.inject({ method: "GET", url: "/v1/admin/payment-providers", headers: { authorization } });
  return { status: answer.statusCode, body: answer.json() };
};

test("an operator sees the providers, and gives new payments to another", async () => {
  expect((await providers("customer")).status).toBe(403);
  expect(await providers("operator")).toMatchObject({
    status: 200,
    body: { active: "card-a", providers: [{ provider: "card-a", state: "UP", failures: 0 }, { provider: "card-b" }] },
  });
  const reason = "a contract of ours";
  expect(await providers("operator", { provider: "card-b" })).toMatchObject({ status: 422 });
  expect(await providers("operator", { provider: "card-c", reason })).toMatchObject({
    status: 404,
    body: { code: "PROVIDER_NOT_FOUND" },
  });
  expect(await providers("customer", { provider: "card-b", reason })).toMatchObject({ status: 403 });
  expect(await providers("operator", { provider: "card-b", reason })).toMatchObject({
    status: 200,
    body: { active: "card-b", incidents: [{ what: "SWITCHED", why: reason, doneBy: orderId(99) }] },
  });
});
