import { productPublished } from "@onsale/contracts/catalog";
import { shelfEmptied, shelfRefilled } from "@onsale/contracts/inventory";
import { createHttpServer, createTokenSigner, createTokenVerifier, type HttpServer, newTokenKey } from "@onsale/http";
import type { Database } from "@onsale/postgres";
import { silentLogger } from "@onsale/runtime";
import { deliver, eventOf, readOutbox, type TestDatabase, testClock, testDatabase, testIds } from "@onsale/testing";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { catalog } from "../src/index.ts";

const realm = { issuer: "onsale", audience: "onsale" };
const ids = testIds();

let server: TestDatabase;
let database: Database;
let http: HttpServer;
let operator: string;
let buyer: string;

beforeAll(async () => {
  const tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  operator = await tokens.sign({ id: ids.uuid(), role: "operator" }, 600);
  buyer = await tokens.sign({ id: ids.uuid(), role: "customer" }, 600);
  server = await testDatabase({ services: [catalog] });
  database = server.open("catalog");
  const verifier = createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm });
  http = await createHttpServer({ name: "catalog", version: "0", tokens: verifier, logger: silentLogger() });
  const ports = { clock: testClock(), ids };
  catalog.routes(http, { database, ports, feeds: { passed: async () => true } });
});

afterAll(async () => {
  await http.close();
  await server.close();
});

let sku: string;
let nextSku = 1;
beforeEach(() => {
  sku = `T/${nextSku++} ö`;
});

const heart = () => ({ sku, name: "HEART", priceMinor: 255, currency: "GBP" });

async function publish(payload: object, { key = ids.uuid(), token = operator } = {}) {
  const headers = { authorization: `Bearer ${token}`, "idempotency-key": key };
  const answer = await http.inject({ method: "POST", url: "/v1/admin/products", payload, headers });
  return { status: answer.statusCode, headers: answer.headers, body: answer.json() };
}

const get = async (url: string) => {
  const answer = await http.inject({ url });
  return { status: answer.statusCode, body: answer.json() };
};
const read = (which: string) => get(`/v1/products/${encodeURIComponent(which)}`);

const published = async () => (await readOutbox(database, productPublished)).filter(({ key }) => key === sku);

test("a new product is created, told as version 1 and shown, sold out until stock arrives", async () => {
  const { status, headers, body } = await publish(heart());
  expect([status, body]).toEqual([201, heart()]);
  expect((await get(String(headers.location))).body).toEqual({ ...heart(), availability: "sold_out" });
  expect(await published()).toMatchObject([{ sequence: 1, lane: "online", data: heart() }]);
});

test("a changed price is told as the next version; the same again tells nothing", async () => {
  await publish(heart());
  const dearer = { ...heart(), priceMinor: 300 };
  expect((await publish(dearer)).status).toBe(200);
  expect((await publish(dearer)).status).toBe(200);
  expect((await read(sku)).body.priceMinor).toBe(300);
  expect((await published()).map(({ sequence, data }) => [sequence, data.priceMinor])).toEqual([
    [1, 255],
    [2, 300],
  ]);
});

test("ten who publish one new SKU at once: one creates it, each change is told once and in order", async () => {
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) => publish({ ...heart(), priceMinor: index })),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 200, 201]);
  const told = await published();
  expect(told.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect((await read(sku)).body.priceMinor).toBe(told.at(-1)?.data.priceMinor);
});

test("the same request under the same key has one effect and one answer, at once or later", async () => {
  const key = ids.uuid();
  const answers = await Promise.all(Array.from({ length: 5 }, () => publish(heart(), { key })));
  answers.push(await publish(heart(), { key }));
  expect(answers.map(({ status, body }) => [status, body])).toEqual(answers.map(() => [201, heart()]));
  expect(answers.filter(({ headers }) => headers["idempotency-replayed"] === "true")).toHaveLength(5);
  expect(await published()).toHaveLength(1);
});

test("another product under the same key is refused, and changes nothing", async () => {
  const key = ids.uuid();
  await publish(heart(), { key });
  const { status, body } = await publish({ ...heart(), priceMinor: 1 }, { key });
  expect([status, body.code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
  expect((await read(sku)).body.priceMinor).toBe(255);
});

test.each([
  ["a negative price", { priceMinor: -1 }],
  ["a fraction of a penny", { priceMinor: 2.5 }],
  ["a price as text", { priceMinor: "255" }],
  ["a price beyond the largest", { priceMinor: 1e12 }],
  ["a currency that is none", { currency: "gbp" }],
  ["no name", { name: "" }],
  ["a SKU with a control character", { sku: "A\u0007" }],
  ["an unknown field", { stock: 5 }],
])("%s is refused, and nothing is published", async (_what, wrong) => {
  const { status, body } = await publish({ ...heart(), ...wrong });
  expect([status, body.code]).toEqual([422, "VALIDATION_FAILED"]);
  expect(await published()).toEqual([]);
});

test("a buyer can't publish, and nobody without a key", async () => {
  expect((await publish(heart(), { token: buyer })).body.code).toBe("FORBIDDEN");
  const headers = { authorization: `Bearer ${operator}` };
  const keyless = await http.inject({ method: "POST", url: "/v1/admin/products", payload: heart(), headers });
  expect([keyless.statusCode, keyless.json().code]).toEqual([400, "IDEMPOTENCY_KEY_MISSING"]);
  expect(await published()).toEqual([]);
});

const [noteShelves] = catalog.consumers;
const hear = (events: Parameters<typeof deliver>[2]) => deliver(database, noteShelves as never, events, { ids });

test("what inventory tells last is shown, also of a SKU that is published later", async () => {
  const availability = async () => (await read(sku)).body.availability;
  await hear([eventOf(shelfRefilled, { sku }, { sequence: 1 })]);
  await publish(heart());
  expect(await availability()).toBe("available");
  await hear([
    eventOf(shelfEmptied, { sku }, { sequence: 2 }),
    eventOf(shelfRefilled, { sku }, { sequence: 3 }),
    eventOf(shelfEmptied, { sku }, { sequence: 4 }),
  ]);
  expect(await availability()).toBe("sold_out");
});

test("older news that comes late changes nothing", async () => {
  await publish(heart());
  await hear([eventOf(shelfEmptied, { sku }, { sequence: 5 })]);
  // Straight to the use case: the inbox would already have stopped it.
  if (noteShelves?.kind !== "batch") throw new Error("not a batch consumer");
  await database.transaction((tx) =>
    noteShelves.do(tx, [eventOf(shelfRefilled, { sku }, { sequence: 4 })], { clock: testClock(), ids }),
  );
  expect((await read(sku)).body.availability).toBe("sold_out");
});

test("pages follow each other by cursor until the end, each product once, in the order of the SKU's bytes", async () => {
  const skus = ["page-B", "page-a", "page-Z", "page-é", "page-1"];
  for (const one of skus) await publish({ ...heart(), sku: one });
  const seen: string[] = [];
  let next: string | null = null;
  do {
    const { body } = await get(`/v1/products?limit=2${next === null ? "" : `&after=${next}`}`);
    expect(body.products.length).toBeLessThanOrEqual(2);
    seen.push(...body.products.map((product: { sku: string }) => product.sku));
    next = body.next;
  } while (next !== null);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((one) => one.startsWith("page-"))).toEqual(["page-1", "page-B", "page-Z", "page-a", "page-é"]);
});

test.each([
  ["/v1/products?limit=0", 400, "VALIDATION_FAILED"],
  ["/v1/products?limit=201", 400, "VALIDATION_FAILED"],
  ["/v1/products?limit=ten", 400, "VALIDATION_FAILED"],
  ["/v1/products?limit=1&limit=2", 400, "VALIDATION_FAILED"],
  ["/v1/products?page=2", 400, "VALIDATION_FAILED"],
  ["/v1/products?after=nonsense", 400, "INVALID_CURSOR"],
  ["/v1/products/unknown", 404, "PRODUCT_NOT_FOUND"],
  [`/v1/products/${"x".repeat(65)}`, 400, "VALIDATION_FAILED"],
  ["/v1/products/%00", 400, "VALIDATION_FAILED"],
  ["/v1/products/%ff", 400, "MALFORMED_REQUEST"],
])("%s is answered %i %s", async (url, status, code) => {
  const answer = await get(url);
  expect([answer.status, answer.body.code]).toEqual([status, code]);
});
