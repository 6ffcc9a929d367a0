import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  type Role,
  type TokenSigner,
} from "@onsale/http";
import type { Database } from "@onsale/postgres";
import { ids, silentLogger } from "@onsale/runtime";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inventory } from "../src/index.ts";
import { fewestLocations } from "../src/ports.ts";
import { books, buyerId, content, hear, placed, told } from "./books.ts";

const realm = { issuer: "onsale", audience: "onsale" };

let own: TestDatabase;
let database: Database;
let tokens: TokenSigner;
let http: HttpServer;

beforeAll(async () => {
  own = await testDatabase(content);
  database = own.open("inventory");
  tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  http = await createHttpServer({
    name: "inventory",
    version: "0",
    tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
    logger: silentLogger(),
  });
  const ports = { clock: { now: () => "2026-11-21T08:00:00.000Z" }, ids, chooseLocations: fewestLocations };
  inventory.routes(http, { database, ports, feeds: { passed: async () => true } });
});

afterAll(async () => {
  await http.close();
  await own.close();
});

let keys = 0;
const call = async (
  method: "GET" | "POST" | "PUT" | "DELETE",
  url: string,
  payload?: object,
  role: Role = "operator",
  key = `${++keys}`,
  person = 1,
) => {
  const token = await tokens.sign({ id: buyerId(person), role }, 60);
  const headers = { authorization: `Bearer ${token}`, ...(method === "POST" && { "idempotency-key": key }) };
  const answer = await http.inject({ method, url, headers, ...(payload && { payload }) });
  return { status: answer.statusCode, headers: answer.headers, body: answer.payload === "" ? null : answer.json() };
};
const receive = (payload: object, key?: string) => call("POST", "/v1/admin/stock-receipts", payload, "operator", key);

test("goods that came in are on the shelf", async () => {
  expect(await receive({ sku: "MUG/white 1", units: 5 })).toMatchObject({
    status: 201,
    body: { sku: "MUG/white 1", units: 5, receiptNumber: null },
  });
  expect(await call("GET", "/v1/admin/stock/MUG%2Fwhite%201")).toMatchObject({
    status: 200,
    body: { sku: "MUG/white 1", received: 5, held: 0, sold: 0, available: 5, perBuyerLimit: null },
  });
});

test("a receipt is taken once, whether its request or its purchase order comes again", async () => {
  const order = { sku: "cup", units: 7, receiptNumber: "PO-7" };
  const first = await receive(order, "the-key");
  const again = await receive(order, "the-key");
  expect(again).toMatchObject({ status: 201, body: first.body, headers: { "idempotency-replayed": "true" } });
  expect(await receive(order)).toMatchObject({ status: 200, body: first.body });
  expect(await receive({ ...order, units: 8 })).toMatchObject({ status: 409, body: { code: "RECEIPT_NUMBER_REUSED" } });
  expect(await receive({ ...order, units: 8 }, "the-key")).toMatchObject({
    status: 422,
    body: { code: "IDEMPOTENCY_KEY_REUSED" },
  });
  expect(await books(database)).toMatchObject({ cup: [7, 0, 0] });
});

test("a receipt that is inspected is for sale afterwards", async () => {
  const { body } = await receive({ sku: "vase", units: 10, inspect: true });
  const url = `/v1/admin/stock-receipts/${body.receiptId}`;
  const inspect = (found: object, key?: string) => call("POST", `${url}/inspection`, found, "operator", key);
  expect(await call("GET", url)).toMatchObject({ status: 200, body: { units: 10, inspect: true, inspection: null } });
  expect(await inspect({ accepted: 10, damaged: 1 })).toMatchObject({
    status: 422,
    body: { code: "INSPECTION_EXCEEDS_RECEIPT" },
  });
  const found = { accepted: 7, damaged: 2, note: "two are cracked" };
  expect(await inspect(found)).toMatchObject({ status: 201, body: { accepted: 7, damaged: 2, missing: 1 } });
  expect(await inspect(found)).toMatchObject({ status: 200, body: { missing: 1 } });
  expect(await inspect({ accepted: 8, damaged: 2 })).toMatchObject({
    status: 409,
    body: { code: "INSPECTION_CONTRADICTED" },
  });
  expect(await call("GET", url)).toMatchObject({ body: { inspection: { accepted: 7, damaged: 2, missing: 1 } } });
  expect(await call("GET", "/v1/admin/stock/vase")).toMatchObject({ body: { available: 7, quarantined: 2 } });
  const { body: plain } = await receive({ sku: "vase", units: 1 });
  expect(
    await call("POST", `/v1/admin/stock-receipts/${plain.receiptId}/inspection`, { accepted: 1, damaged: 0 }),
  ).toMatchObject({ status: 409, body: { code: "RECEIPT_NOT_AWAITED" } });
  expect(await call("GET", `/v1/admin/stock-receipts/${buyerId(1)}`)).toMatchObject({ status: 404 });
});

test("stock is adjusted with a reason, once per key, and never below what is there", async () => {
  await receive({ sku: "bowl", units: 5 });
  const adjust = (wish: object, key?: string) => call("POST", "/v1/admin/stock-adjustments", wish, "operator", key);
  const lost = { sku: "bowl", units: -2, reason: "LOST", note: "the van was open" };
  const first = await adjust(lost, "lost-bowls");
  expect(first).toMatchObject({ status: 201, body: { stock: { received: 3, available: 3 } } });
  expect(await adjust(lost, "lost-bowls")).toMatchObject({ status: 201, body: first.body });
  expect(await adjust({ ...lost, units: -4 })).toMatchObject({
    status: 409,
    body: { code: "ADJUSTMENT_EXCEEDS_STOCK", detail: "3 are there." },
  });
  expect(await adjust({ ...lost, units: 2 })).toMatchObject({ status: 422, body: { code: "ADJUSTMENT_WRONG_WAY" } });
  for (const wrong of [
    { ...lost, units: 0 },
    { ...lost, reason: "MOOD" },
    { ...lost, units: 1_000_001 },
  ])
    expect(await adjust(wrong)).toMatchObject({ status: 422, body: { code: "VALIDATION_FAILED" } });
  expect(await adjust({ ...lost, sku: "nothing" })).toMatchObject({ status: 404 });
  expect(await call("GET", "/v1/admin/stock/bowl")).toMatchObject({ body: { received: 3 } });
});

test("goods go from one location to another, and are for sale where they have arrived", async () => {
  expect(await call("PUT", "/v1/admin/locations/north", { rank: 5 })).toMatchObject({ status: 200 });
  expect(await call("GET", "/v1/admin/locations")).toMatchObject({
    body: {
      locations: [
        { location: "main", rank: 0 },
        { location: "north", rank: 5 },
      ],
    },
  });
  expect(await receive({ sku: "lamp", units: 10, location: "south" })).toMatchObject({
    status: 422,
    body: { code: "LOCATION_NOT_FOUND" },
  });
  await receive({ sku: "lamp", units: 10 });
  const send = (wish: object) => call("POST", "/v1/admin/stock-transfers", wish);
  const wish = { sku: "lamp", from: "main", to: "north", units: 4 };
  expect(await send({ ...wish, units: 11 })).toMatchObject({ status: 409, body: { detail: "10 are there." } });
  expect(await send({ ...wish, to: "main" })).toMatchObject({ status: 422, body: { code: "TRANSFER_SAME_LOCATION" } });
  expect(await send({ ...wish, to: "south" })).toMatchObject({ status: 422, body: { code: "LOCATION_NOT_FOUND" } });
  expect(await send({ ...wish, from: "north", to: "main" })).toMatchObject({ status: 404 });
  const { status, body } = await send(wish);
  expect({ status, body }).toMatchObject({ status: 201, body: { ...wish, arrivedUnits: null } });
  expect(await call("GET", "/v1/admin/stock/lamp")).toMatchObject({
    body: {
      ...{ available: 6, inTransit: 4 },
      locations: [
        { location: "main", available: 6, inTransit: 0 },
        { location: "north", available: 0, inTransit: 4 },
      ],
    },
  });
  const url = `/v1/admin/stock-transfers/${body.transferId}`;
  const arrive = (units: number) => call("POST", `${url}/arrival`, { units });
  expect(await arrive(5)).toMatchObject({ status: 422, body: { code: "ARRIVAL_EXCEEDS_TRANSFER" } });
  expect(await arrive(3)).toMatchObject({ status: 201, body: { arrivedUnits: 3 } });
  expect(await arrive(3)).toMatchObject({ status: 200, body: { arrivedUnits: 3 } });
  expect(await arrive(4)).toMatchObject({ status: 409, body: { code: "ARRIVAL_CONTRADICTED" } });
  expect(await call("GET", url)).toMatchObject({ body: { arrivedUnits: 3 } });
  expect(await call("GET", "/v1/admin/stock/lamp")).toMatchObject({ body: { available: 9, inTransit: 0 } });
  await books(database);
});

test("a hundred click on one seat: one has it, the others are told which is taken", async () => {
  const pool = { sku: "HALL-A", units: ["A-1", "A-2", "A-3"], receiptNumber: "plan-1" };
  expect(await call("POST", "/v1/admin/unit-pools", pool)).toMatchObject({ status: 201, body: { units: 3 } });
  expect(await call("POST", "/v1/admin/unit-pools", pool)).toMatchObject({ status: 200 });
  const again = await call("POST", "/v1/admin/unit-pools", { ...pool, receiptNumber: "plan-2" });
  expect(again).toMatchObject({
    status: 409,
    body: { code: "UNITS_EXIST", errors: [{ pointer: "/units/0" }, {}, {}] },
  });
  expect(await receive({ sku: "HALL-A", units: 1 })).toMatchObject({ status: 409, body: { code: "UNITS_HAVE_NAMES" } });
  expect(await call("POST", "/v1/admin/unit-pools", { sku: "cup", units: ["A-1"] })).toMatchObject({
    status: 409,
    body: { code: "UNITS_HAVE_NO_NAMES" },
  });
  const click = (person: number) =>
    call("POST", "/v1/holds", { lines: [{ sku: "HALL-A", units: ["A-1", "A-2"] }] }, "guest", `${++keys}`, person);
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => click(index + 1)));
  const winners = answers.filter(({ status }) => status === 201);
  expect(winners).toHaveLength(1);
  for (const { status, body } of answers.filter((answer) => answer !== winners[0]))
    expect({ status, body }).toMatchObject({
      status: 409,
      body: {
        code: "UNITS_TAKEN",
        errors: [
          { pointer: "/lines/0/units/0", detail: "A-1 is taken." },
          { pointer: "/lines/0/units/1", detail: "A-2 is taken." },
        ],
      },
    });
  expect(await call("GET", "/v1/stock/HALL-A/units?limit=2")).toMatchObject({
    body: { units: [{ unit: "A-1", state: "HELD" }, { unit: "A-2" }], next: expect.any(Number) },
  });
  await books(database);
});

test("a buyer's hold is the buyer's: seen and given up by nobody else", async () => {
  await receive({ sku: "fork", units: 2 });
  const mine = (method: "GET" | "DELETE", holdId: string, person = 1) =>
    call(method, `/v1/holds/${holdId}`, undefined, "customer", undefined, person);
  const take = (wish: object, key?: string) => call("POST", "/v1/holds", wish, "customer", key);
  const wish = { lines: [{ sku: "fork", quantity: 2 }], holdSeconds: 30 };
  const { status, body } = await take(wish, "forks");
  expect({ status, body }).toMatchObject({ status: 201, body: { holds: [{ sku: "fork", quantity: 2 }] } });
  expect(await take(wish, "forks")).toMatchObject({ status: 201, body, headers: { "idempotency-replayed": "true" } });
  expect(await take(wish)).toMatchObject({
    status: 409,
    body: { code: "SOLD_OUT", errors: [{ pointer: "/lines/0" }] },
  });
  expect(await take({ lines: [{ sku: "nothing", quantity: 1 }] })).toMatchObject({ status: 422 });
  for (const wrong of [
    { lines: [] },
    { lines: [{ sku: "fork", quantity: 0 }] },
    { lines: [{ sku: "fork", quantity: 1, units: ["A"] }] },
    {
      lines: [
        { sku: "fork", quantity: 1 },
        { sku: "fork", quantity: 1 },
      ],
    },
    { lines: [{ sku: "fork", quantity: 1 }], holdSeconds: 86_400 },
  ])
    expect(await take(wrong)).toMatchObject({ status: 422, body: { code: "VALIDATION_FAILED" } });
  const [holdId = ""] = (body as { holdIds: string[] }).holdIds;
  expect(await mine("GET", holdId)).toMatchObject({ status: 200, body: { holdId, status: "HELD" } });
  expect([(await mine("GET", holdId, 2)).status, (await mine("DELETE", holdId, 2)).status]).toEqual([404, 404]);
  expect([(await mine("DELETE", holdId)).status, (await mine("DELETE", holdId)).status]).toEqual([204, 204]);
  expect(await mine("GET", holdId)).toMatchObject({ body: { status: "RELEASED" } });
  expect(await books(database)).toMatchObject({ fork: [2, 0, 0] });
});

test("the limit per buyer is set and lifted", async () => {
  await receive({ sku: "plate", units: 1 });
  const url = "/v1/admin/stock/plate/per-buyer-limit";
  expect(await call("PUT", url, { perBuyerLimit: 2 })).toMatchObject({ status: 200, body: { perBuyerLimit: 2 } });
  expect(await call("PUT", url, { perBuyerLimit: null })).toMatchObject({ status: 200, body: { perBuyerLimit: null } });
});

test.each([
  { sku: "bad", units: 0 },
  { sku: "bad", units: -1 },
  { sku: "bad", units: 1_000_001 },
  { sku: "bad", units: 1.5 },
  { sku: "bad", units: "5" },
  { sku: "", units: 1 },
  { sku: "bad\u0000", units: 1 },
  { sku: "bad", units: 1, sold: 5 },
  { units: 1 },
])("%j is refused and changes nothing", async (payload) => {
  const before = { books: await books(database), told: await told(database) };
  expect(await receive(payload)).toMatchObject({ status: 422, body: { code: expect.any(String) } });
  expect({ books: await books(database), told: await told(database) }).toEqual(before);
});

test("only operators get in, and what never came in is not there", async () => {
  expect(await call("GET", "/v1/admin/stock/nothing")).toMatchObject({
    status: 404,
    body: { code: "STOCK_NOT_FOUND" },
  });
  expect(await call("PUT", "/v1/admin/stock/nothing/per-buyer-limit", { perBuyerLimit: 1 })).toMatchObject({
    status: 404,
  });
  for (const role of ["guest", "customer"] as const) {
    expect(await call("GET", "/v1/admin/stock/cup", undefined, role)).toMatchObject({ status: 403 });
    expect(await call("POST", "/v1/admin/stock-receipts", { sku: "cup", units: 1 }, role)).toMatchObject({
      status: 403,
    });
  }
});

test("who came and who was served is told to operators, of a SKU that there is", async () => {
  await receive({ sku: "last", units: 2 });
  await hear(database, "reserve-stock", [placed(1, { last: 1 }), placed(2, { last: 2 }), placed(3, { last: 1 })]);
  expect(await call("GET", "/v1/admin/stock/last/fairness")).toMatchObject({
    status: 200,
    body: { sku: "last", arrivals: 3, granted: 2, refused: 1, inversions: 0, wronglyRefused: 0, complete: true },
  });
  expect(await call("GET", "/v1/admin/stock/nothing/fairness")).toMatchObject({ status: 404 });
  expect(await call("GET", "/v1/admin/stock/last/fairness", undefined, "customer")).toMatchObject({ status: 403 });
});
