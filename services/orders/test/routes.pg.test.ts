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
import { openTasks } from "@onsale/saga";
import { type TestDatabase, testDatabase, testIds } from "@onsale/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { orders } from "../src/index.ts";
import { content, deliverTo, faultsIn, hearAll, personId, published, sell, toConfirmed } from "./shop.ts";

const realm = { issuer: "onsale", audience: "onsale" };

let own: TestDatabase;
let shop: Database;
let tokens: TokenSigner;
let http: HttpServer;
/** What happens while orders wait for the catalog's feed, and whether it is heard in time. */
let whileWaiting: () => Promise<boolean> = async () => true;

beforeAll(async () => {
  own = await testDatabase(content);
  shop = own.open("orders");
  await sell(shop);
  tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  const verifier = createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm });
  http = await createHttpServer({ name: "orders", version: "0", tokens: verifier, logger: silentLogger() });
  const feeds = {
    async passed(source: string) {
      return source === "catalog" ? await whileWaiting() : true;
    },
  };
  orders.routes(http, { database: shop, ports: { ids, clock: { now: () => "never" } }, feeds });
});
afterEach(() => {
  whileWaiting = async () => true;
});
afterAll(async () => {
  await http.close();
  expect(await faultsIn(shop)).toEqual([]);
  await own.close();
});

interface Call {
  readonly person?: number;
  readonly role?: Role;
  readonly key?: string | null;
}

let keys = 0;
async function call(
  method: "GET" | "POST" | "PUT",
  url: string,
  body?: unknown,
  { person = 1, role = "guest", key = `key-${++keys}` }: Call = {},
) {
  const token = await tokens.sign({ id: personId(person), role }, 60);
  const headers = {
    authorization: `Bearer ${token}`,
    ...(key !== null && { "idempotency-key": key }),
    ...(body !== undefined && { "content-type": "application/json" }),
  };
  const answer = await http.inject({
    method,
    url,
    headers,
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  });
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === "" ? undefined : answer.json() };
}

const mugs = { currency: "GBP", lines: [{ sku: "mug", quantity: 2 }], payment: { method: "card" } };
const placeOrder = (body: unknown = mugs, options?: Call) => call("POST", "/v1/orders", body, options);
const placed = async (body: unknown = mugs, options?: Call): Promise<string> =>
  (await placeOrder(body, options)).body.orderId;

describe("placing", () => {
  test("is accepted with the order's address; the same request again is answered alike, and marked", async () => {
    const first = await placeOrder(mugs, { key: "twice" });
    expect(first).toMatchObject({ status: 202, body: { orderId: expect.any(String), status: "PENDING" } });
    expect(first.headers).toMatchObject({ location: `/v1/orders/${first.body.orderId}` });
    expect(first.headers).not.toHaveProperty("idempotency-replayed");
    const again = await placeOrder(mugs, { key: "twice" });
    expect(again).toMatchObject({ status: 202, body: first.body });
    expect(again.headers).toMatchObject({ location: first.headers.location, "idempotency-replayed": "true" });
    expect(await placeOrder({ ...mugs, lines: [{ sku: "cup", quantity: 1 }] }, { key: "twice" })).toMatchObject({
      ...{ status: 422, body: { code: "IDEMPOTENCY_KEY_REUSED" } },
    });
    expect((await placeOrder(mugs, { key: "twice", person: 2 })).body.orderId).not.toBe(first.body.orderId);
  });

  test("with points, alone or beside a card, is shown with who bears what", async () => {
    const orderId = await placed({ ...mugs, payment: { method: "split", pointsMinor: 110 } });
    expect((await call("GET", `/v1/orders/${orderId}`)).body).toMatchObject({
      ...{ totalMinor: 510, payment: { method: "split", pointsMinor: 110 }, paidMinor: 0, paidPointsMinor: 0 },
      lines: [
        {
          allocations: [
            { kind: "POINTS", borneBy: "buyer", amountMinor: 110 },
            { kind: "CARD", borneBy: "buyer", amountMinor: 400 },
          ],
        },
      ],
    });
    const whole = await placed({ ...mugs, payment: { method: "wallet" } });
    expect((await call("GET", `/v1/orders/${whole}`)).body).toMatchObject({
      ...{ payment: { method: "wallet", pointsMinor: 510 } },
      lines: [{ allocations: [{ kind: "POINTS", amountMinor: 510 }] }],
    });
  });

  test.each([
    { method: "card", pointsMinor: 5 },
    { method: "wallet", pointsMinor: 510 },
    { method: "split" },
    { method: "split", pointsMinor: 510 },
  ])("with points that do not fit is refused: %j", async (payment) => {
    expect(await placeOrder({ ...mugs, payment })).toMatchObject({ status: 422, body: { code: "POINTS_DO_NOT_FIT" } });
  });

  test("of a product that the catalog has just told of waits until it was heard", async () => {
    whileWaiting = () => sell(shop, { novelty: 42 }).then(() => true);
    const wanted = { ...mugs, lines: [{ sku: "novelty", quantity: 1 }] };
    expect(await placeOrder(wanted)).toMatchObject({ status: 202 });
  });

  test("of what is not known is not refused for good while the catalog can't be heard", async () => {
    whileWaiting = async () => false;
    const wanted = { ...mugs, lines: [{ sku: "rumour", quantity: 1 }] };
    const unheard = {
      status: 503,
      body: { code: "CATALOG_UNHEARD", retryable: true },
      headers: { "retry-after": "1" },
    };
    expect(await placeOrder(wanted, { key: "rumour" })).toMatchObject(unheard);
    expect(await placeOrder({ ...mugs, lines: [{ sku: "mug", quantity: 1, unitPriceMinor: 1 }] })).toMatchObject(
      unheard,
    );
    expect(await placeOrder()).toMatchObject({ status: 202 });
    await sell(shop, { rumour: 42 });
    expect(await placeOrder(wanted, { key: "rumour" })).toMatchObject({ status: 202 });
  });

  const lines = (count: number) => Array.from({ length: count }, () => ({ sku: "mug", quantity: 1 }));
  test.each([
    [
      "an unknown product",
      {
        lines: [
          { sku: "mug", quantity: 1 },
          { sku: "unicorn", quantity: 1 },
        ],
      },
      422,
      "UNKNOWN_PRODUCT",
    ],
    ["another currency", { currency: "EUR" }, 422, "WRONG_CURRENCY"],
    ["no currency of this world", { currency: "pounds" }, 422, "VALIDATION_FAILED"],
    ["no lines", { lines: [] }, 422, "VALIDATION_FAILED"],
    ["1,001 lines", { lines: lines(1_001) }, 422, "TOO_MANY_LINES"],
    ["quantity 0", { lines: [{ sku: "mug", quantity: 0 }] }, 422, "VALIDATION_FAILED"],
    ["a negative quantity", { lines: [{ sku: "mug", quantity: -1 }] }, 422, "VALIDATION_FAILED"],
    ["10^12 pieces", { lines: [{ sku: "mug", quantity: 1e12 }] }, 422, "VALIDATION_FAILED"],
    ["half a mug", { lines: [{ sku: "mug", quantity: 0.5 }] }, 422, "VALIDATION_FAILED"],
    ["a quantity in words", { lines: [{ sku: "mug", quantity: "2" }] }, 422, "VALIDATION_FAILED"],
    [
      "more pieces than an order may have, in two lines",
      {
        lines: [
          { sku: "mug", quantity: 1_000_000 },
          { sku: "mug", quantity: 1 },
        ],
      },
      422,
      "QUANTITY_TOO_LARGE",
    ],
    ["a price of its own", { lines: [{ sku: "mug", quantity: 1, price: 1 }] }, 422, "VALIDATION_FAILED"],
    ["a status of its own", { status: "CONFIRMED" }, 422, "VALIDATION_FAILED"],
    ["payment by wish", { payment: { method: "wish" } }, 422, "VALIDATION_FAILED"],
    ["a hold that is none", { holdIds: ["my-hold"] }, 422, "VALIDATION_FAILED"],
  ])("%s is refused with a code, and changes nothing", async (_, change, status, code) => {
    const before = (await call("GET", "/v1/orders")).body;
    const refused = await placeOrder({ ...mugs, ...change });
    expect(refused).toMatchObject({ status, body: { status, code, retryable: false } });
    expect(refused.headers["content-type"]).toBe("application/problem+json");
    expect((await call("GET", "/v1/orders")).body).toEqual(before);
  });

  test("an unknown product is pointed at", async () => {
    const { body } = await placeOrder({ ...mugs, lines: [...mugs.lines, { sku: "unicorn", quantity: 1 }] });
    expect(body.errors).toEqual([{ pointer: "/lines/1", in: "body", detail: expect.stringContaining("unicorn") }]);
  });

  test("without a key, or a token, is refused", async () => {
    expect(await placeOrder(mugs, { key: null })).toMatchObject({
      status: 400,
      body: { code: "IDEMPOTENCY_KEY_MISSING" },
    });
    const answer = await http.inject({
      method: "POST",
      url: "/v1/orders",
      headers: { "idempotency-key": "k" },
      payload: mugs,
    });
    expect(answer.statusCode).toBe(401);
  });
});

describe("reading", () => {
  test("one's own order with its lines, as they were asked for", async () => {
    const wanted = {
      ...mugs,
      lines: [
        { sku: "pot", quantity: 1 },
        { sku: "cup", quantity: 2 },
        { sku: "pot", quantity: 1 },
      ],
    };
    const orderId = await placed(wanted);
    expect(await call("GET", `/v1/orders/${orderId}`)).toMatchObject({
      status: 200,
      body: {
        ...{
          orderId,
          status: "PENDING",
          reason: null,
          totalMinor: 2_200,
          currency: "GBP",
          paidMinor: 0,
          refundedMinor: 0,
        },
        lines: [
          { sku: "pot", quantity: 2, unitPriceMinor: 1_000, returnedQuantity: 0 },
          { sku: "cup", quantity: 2, unitPriceMinor: 100, returnedQuantity: 0 },
        ],
      },
    });
  });

  test("why it ended, only when it has", async () => {
    const orderId = await placed();
    await hearAll(shop, orderId, "reserved", "declined");
    expect((await call("GET", `/v1/orders/${orderId}`)).body).toMatchObject({ status: "PENDING", reason: null });
    await hearAll(shop, orderId, "reversed");
    expect((await call("GET", `/v1/orders/${orderId}`)).body).toMatchObject({
      status: "REJECTED",
      reason: "PAYMENT_DECLINED",
    });
  });

  test("another person's order is as good as none, on every route, for operators too", async () => {
    const orderId = await placed();
    const routes = [
      ["GET", ""],
      ["GET", "/events"],
      ["POST", "/cancel"],
      ["POST", "/returns"],
    ] as const;
    for (const [method, rest] of routes) {
      const body = rest === "/returns" ? { lines: mugs.lines } : undefined;
      for (const role of ["guest", "customer", "operator"] as const) {
        const answer = await call(method, `/v1/orders/${orderId}${rest}`, body, { person: 2, role });
        expect(answer, `${role} ${method} ${rest}`).toMatchObject({ status: 404, body: { code: "ORDER_NOT_FOUND" } });
      }
    }
    expect(await call("GET", "/v1/orders/not-an-id")).toMatchObject({ status: 400 });
  });

  test("one's own orders by pages, the newest first", async () => {
    const mine = { person: 77 };
    const placedIds: string[] = [];
    for (let count = 0; count < 5; count++) placedIds.push(await placed(mugs, mine));
    const seen: string[] = [];
    for (let after: string | null = ""; after !== null; ) {
      const { body } = await call("GET", `/v1/orders?limit=2${after && `&after=${after}`}`, undefined, mine);
      seen.push(...body.orders.map((order: { orderId: string }) => order.orderId));
      after = body.next;
    }
    expect(seen).toEqual(placedIds.reverse());
  });
});

describe("events", () => {
  const stream = async (orderId: string, lastEventId?: string) => {
    const token = await tokens.sign({ id: personId(1), role: "guest" }, 60);
    const headers = { authorization: `Bearer ${token}`, ...(lastEventId && { "last-event-id": lastEventId }) };
    const answer = await http.inject({ method: "GET", url: `/v1/orders/${orderId}/events`, headers });
    expect(answer.headers["content-type"]).toContain("text/event-stream");
    const frames = answer.body.split("\n\n").filter((frame) => frame.includes("data: "));
    return frames.map((frame) => {
      const event = JSON.parse(frame.slice(frame.indexOf("data: ") + 6));
      expect(frame).toContain(`id: ${event.version}\n`);
      return `${event.version} ${event.what} ${event.status}`;
    });
  };

  test("of an order that has ended: its history, then the end of the stream", async () => {
    const orderId = await placed();
    await hearAll(shop, orderId, "rejected");
    expect(await stream(orderId)).toEqual(["1 placed PENDING", "2 stock-rejected REJECTED"]);
    expect(await stream(orderId, "1")).toEqual(["2 stock-rejected REJECTED"]);
    expect(await stream(orderId, "2")).toEqual([]);
  });

  test("of an order under way: each step as it comes, up to the last", async () => {
    const orderId = await placed();
    const [steps] = await Promise.all([stream(orderId), hearAll(shop, orderId, ...toConfirmed(510))]);
    expect(steps).toEqual([
      ...["1 placed PENDING", "2 stock-reserved PENDING", "3 payment-authorised PENDING", "4 stock-confirmed PENDING"],
      "5 payment-captured CONFIRMED",
    ]);
  });
});

describe("cancelling and returning", () => {
  test("a cancelled order says so; again it says the same", async () => {
    const orderId = await placed();
    const answer = { status: 202, body: { orderId, status: "CANCELLED" } };
    expect(await call("POST", `/v1/orders/${orderId}/cancel`)).toMatchObject(answer);
    expect(await call("POST", `/v1/orders/${orderId}/cancel`, undefined, { key: null })).toMatchObject(answer);
  });

  test("a rejected order can't be cancelled", async () => {
    const orderId = await placed();
    await hearAll(shop, orderId, "rejected");
    expect(await call("POST", `/v1/orders/${orderId}/cancel`)).toMatchObject({
      status: 409,
      body: { code: "ORDER_REJECTED" },
    });
  });

  test("what is returned is refunded once under its key, and no more than was bought", async () => {
    const orderId = await placed();
    const back = (quantity: number, key: string, sku = "mug") =>
      call("POST", `/v1/orders/${orderId}/returns`, { lines: [{ sku, quantity }] }, { key });
    expect(await back(1, "early")).toMatchObject({ status: 409, body: { code: "ORDER_NOT_RETURNABLE" } });
    await hearAll(shop, orderId, ...toConfirmed(510));
    const first = await back(1, "one");
    expect(first).toMatchObject({
      status: 202,
      body: { orderId, returnId: expect.any(String), refundMinor: 255, currency: "GBP" },
    });
    const again = await back(1, "one");
    expect(again.body).toEqual(first.body);
    expect(again.headers).toMatchObject({ "idempotency-replayed": "true" });
    expect(await back(2, "two")).toMatchObject({ status: 422, body: { code: "RETURN_EXCEEDS_ORDER" } });
    expect(await back(1, "cups", "cup")).toMatchObject({ status: 422, body: { code: "RETURN_EXCEEDS_ORDER" } });
    expect((await call("GET", `/v1/orders/${orderId}`)).body.lines).toMatchObject([{ returnedQuantity: 1 }]);
  });
});

describe("a return that is looked at first", () => {
  const as = { role: "operator", person: 9 } as const;
  const policy = (inspect: boolean) =>
    call("PUT", "/v1/admin/return-policy", { inspect, lapseAfterDays: 14 }, { ...as, key: null });
  const asked = async () => {
    const orderId = await placed();
    await hearAll(shop, orderId, ...toConfirmed(510));
    const answer = await call("POST", `/v1/orders/${orderId}/returns`, { lines: [{ sku: "mug", quantity: 2 }] });
    return { orderId, answer, returnId: answer.body.returnId as string };
  };
  const found = (quantity: number, verdict: string, rest: object = {}) => ({ sku: "mug", quantity, verdict, ...rest });
  const look = (returnId: string, lines: object[], options: Call = {}) =>
    call("POST", `/v1/admin/returns/${returnId}/inspection`, { lines }, { ...as, ...options });

  test("only operators choose how returns are taken, and each choice is kept", async () => {
    expect(await call("GET", "/v1/admin/return-policy", undefined, as)).toMatchObject({
      ...{ status: 200, body: { inspect: false, lapseAfterDays: 30, version: 1, changedBy: null } },
    });
    expect(await call("PUT", "/v1/admin/return-policy", { inspect: true, lapseAfterDays: 14 })).toMatchObject({
      status: 403,
    });
    for (const wrong of [
      { inspect: true },
      { inspect: "yes", lapseAfterDays: 3 },
      { inspect: true, lapseAfterDays: 0 },
    ])
      expect(await call("PUT", "/v1/admin/return-policy", wrong, as)).toMatchObject({ status: 422 });
    expect(await policy(true)).toMatchObject({ status: 200, body: { version: 2, changedBy: personId(9) } });
    expect(await policy(false)).toMatchObject({ status: 200, body: { version: 3 } });
  });

  test("is seen by its buyer and by operators, and paid back once somebody has looked", async () => {
    await policy(true);
    const { orderId, answer, returnId } = await asked();
    expect(answer).toMatchObject({ status: 202, body: { status: "REQUESTED", refundMinor: 0, pointsMinor: 0 } });
    const waiting = await call("GET", "/v1/admin/returns?limit=100", undefined, as);
    expect(waiting.body.returns).toMatchObject([{ returnId, orderId, lines: [{ sku: "mug", quantity: 2 }] }]);
    expect(await call("GET", "/v1/admin/returns", undefined, { person: 1 })).toMatchObject({ status: 403 });

    expect(await look(returnId, [found(2, "GOOD")], { role: "customer" })).toMatchObject({ status: 403 });
    expect(await look(returnId, [found(2, "GOOD")], { key: null })).toMatchObject({ status: 400 });
    expect(await look(returnId, [found(3, "GOOD")])).toMatchObject({ body: { code: "RETURN_DOES_NOT_ADD_UP" } });
    for (const wrong of [found(2, "REFUSED"), found(2, "GOOD", { reason: "USED" }), found(2, "LOST"), found(0, "GOOD")])
      expect(await look(returnId, [wrong])).toMatchObject({ status: 422 });
    const lines = [found(1, "WRITTEN_OFF"), found(1, "REFUSED", { reason: "NOT_IN_PARCEL" })];
    expect(await look(returnId, lines)).toMatchObject({
      ...{ status: 201, body: { status: "ACCEPTED", refundMinor: 255, inspectedBy: personId(9) } },
    });
    expect(await look(returnId, lines.toReversed())).toMatchObject({ status: 200, body: { refundMinor: 255 } });
    expect(await look(returnId, [found(2, "GOOD")])).toMatchObject({
      status: 409,
      body: { code: "RETURN_CONTRADICTED" },
    });
    expect(await call("GET", `/v1/admin/returns/${returnId}`, undefined, as)).toMatchObject({
      ...{ status: 200, body: { findings: [{ verdict: "REFUSED" }, { verdict: "WRITTEN_OFF" }] } },
    });
    const refused = [{ quantity: 1, reason: "NOT_IN_PARCEL" }];
    const back = { sku: "mug", quantity: 2, acceptedQuantity: 1, refused };
    const shown = (await call("GET", `/v1/orders/${orderId}`)).body;
    expect(shown).toMatchObject({
      lines: [{ returnedQuantity: 1 }],
      returns: [{ returnId, status: "ACCEPTED", refundMinor: 255, lines: [back] }],
    });
    expect(shown.returns[0]).not.toHaveProperty("inspectedBy");
    const { history } = (await call("GET", `/v1/orders/${orderId}/history`)).body;
    expect(
      history.slice(-3).map(({ who, sentence }: { who: string; sentence: string }) => `${who}: ${sentence}`),
    ).toEqual([
      "buyer: The buyer wants to send goods back; somebody looks at them first.",
      "operator: What came back was looked at and taken; GBP 2.55 is to be given back.",
      "operator: What came back was looked at, and some of it is not taken.",
    ]);
    await policy(false);
  });

  test("what was accepted at once, or is not there, is not looked at", async () => {
    const { returnId, orderId, answer } = await asked();
    expect(answer.body).toMatchObject({ status: "ACCEPTED", refundMinor: 510, lapsesAt: null });
    expect(await look(returnId, [found(2, "GOOD")])).toMatchObject({
      status: 409,
      body: { code: "RETURN_NOT_AWAITED" },
    });
    expect(await look(orderId, [found(2, "GOOD")])).toMatchObject({ status: 404, body: { code: "RETURN_NOT_FOUND" } });
    expect(await call("GET", `/v1/admin/returns/${orderId}`, undefined, as)).toMatchObject({ status: 404 });
  });
});

describe("cancelling a part", () => {
  const lines = [{ sku: "mug", quantity: 1 }];
  const cancelPart = (orderId: string, options?: Call, wanted: unknown = lines) =>
    call("POST", `/v1/orders/${orderId}/cancel`, { lines: wanted }, options);

  test("gives back its price once under its key, and leaves the rest confirmed", async () => {
    const orderId = await placed();
    expect(await cancelPart(orderId)).toMatchObject({
      status: 409,
      body: { code: "ORDER_UNDECIDED", retryable: true },
    });
    await hearAll(shop, orderId, ...toConfirmed(510));
    expect(await cancelPart(orderId, { key: null })).toMatchObject({ status: 400 });
    const first = await cancelPart(orderId, { key: "one-mug" });
    expect(first).toMatchObject({
      status: 202,
      body: { orderId, status: "CONFIRMED", refundMinor: 255, pointsMinor: 0 },
    });
    expect((await cancelPart(orderId, { key: "one-mug" })).body).toEqual(first.body);
    expect(await cancelPart(orderId, { person: 2 })).toMatchObject({ status: 404 });
    expect(await cancelPart(orderId, {}, [{ sku: "mug", quantity: 2 }])).toMatchObject({
      ...{ status: 422, body: { code: "RETURN_EXCEEDS_ORDER" } },
    });
    expect(await cancelPart(orderId, {}, [])).toMatchObject({ status: 422 });
    const { history } = (await call("GET", `/v1/orders/${orderId}/history`)).body;
    expect(history.map(({ who, sentence }: { who: string; sentence: string }) => `${who}: ${sentence}`)).toEqual([
      "buyer: The order was placed; it costs GBP 5.10.",
      "inventory: The goods are held for the order.",
      "payments: The card's issuer set the amount aside.",
      "inventory: The goods are the order's.",
      "payments: GBP 5.10 was charged to the card. The order is confirmed.",
      "buyer: The buyer cancelled a part; GBP 2.55 is to be given back.",
    ]);
    expect(await call("GET", `/v1/orders/${orderId}/history`, undefined, { person: 2 })).toMatchObject({ status: 404 });
  });
});

describe("a price that changed since the basket was filled", () => {
  const seen = (unitPriceMinor: number) => ({ ...mugs, lines: [{ sku: "mug", quantity: 2, unitPriceMinor }] });

  test("is told, and nothing is ordered", async () => {
    const refused = await placeOrder(seen(254), { key: "a-basket" });
    expect(refused).toMatchObject({
      status: 409,
      body: { code: "PRICE_CHANGED", errors: [{ pointer: "/lines/0", detail: "mug: a unit costs 255 now." }] },
    });
    expect(await placeOrder(seen(255), { key: "a-basket" })).toMatchObject({ status: 202 });
  });

  test("is awaited where the buyer saw it before us", async () => {
    await sell(shop, { fresh: 10 });
    whileWaiting = () => deliverTo(shop, "copy-products", [published("fresh", 12, 2)]).then(() => true);
    const wanted = { ...mugs, lines: [{ sku: "fresh", quantity: 1, unitPriceMinor: 12 }] };
    expect(await placeOrder(wanted)).toMatchObject({ status: 202 });
  });

  test("and two prices of one product in one basket can't both be right", async () => {
    const lines = [255, 254].map((unitPriceMinor) => ({ sku: "mug", quantity: 1, unitPriceMinor }));
    expect(await placeOrder({ ...mugs, lines })).toMatchObject({ status: 409, body: { code: "PRICE_CHANGED" } });
  });
});

describe("a channel's batch", () => {
  const order = (idempotencyKey: string, change: object = {}) => ({ ...mugs, idempotencyKey, ...change });
  const send = (sent: unknown[], options: Call = { role: "operator", person: 9 }) =>
    call("POST", "/v1/order-batches", { orders: sent }, options);

  test("is answered order by order, and the whole may be sent again", async () => {
    const sent = [order("till-1"), order("till-2", { currency: "EUR" }), order("till-3", { buyerId: personId(5) })];
    const first = await send(sent);
    expect(first.body.results).toMatchObject([
      { orderId: expect.any(String), status: "PENDING" },
      { problem: { status: 422, code: "WRONG_CURRENCY", retryable: false } },
      { orderId: expect.any(String), status: "PENDING" },
    ]);
    expect((await send(sent)).body).toEqual(first.body);
    const theirs = first.body.results[2].orderId;
    expect(await call("GET", `/v1/orders/${theirs}`, undefined, { person: 5 })).toMatchObject({ status: 200 });
    expect(await call("GET", `/v1/orders/${first.body.results[0].orderId}`, undefined, { person: 9 })).toMatchObject({
      status: 200,
    });
  });

  test("of a thousand is placed at once; of more it is refused; and only operators send one", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => order(`many-${index}`));
    const { body } = await send(many(1_000));
    expect(new Set(body.results.map(({ orderId }: { orderId: string }) => orderId)).size).toBe(1_000);
    expect(await send(many(1_001))).toMatchObject({ status: 422 });
    expect(await send([order("no")], { role: "customer" })).toMatchObject({ status: 403 });
  });
});

test("an operator sees any order: who bears its price, its history, what it waits for, what a person is called for", async () => {
  const orderId = await placed({ ...mugs, payment: { method: "split", pointsMinor: 110 } });
  await hearAll(shop, orderId, "reserved");
  const taskId = testIds().uuid();
  await shop.transaction((tx) =>
    openTasks(tx, [{ taskId, kind: "order.owed.reserve-stock", key: orderId, what: "Look." }]),
  );
  const shown = await call("GET", `/v1/admin/orders/${orderId}`, undefined, { role: "operator", person: 9 });
  expect(shown).toMatchObject({
    status: 200,
    body: {
      ...{ orderId, buyerId: personId(1), status: "PENDING" },
      lines: [{ sku: "mug", allocations: [{ kind: "POINTS" }, { kind: "CARD" }] }],
      history: [{ who: "buyer" }, { who: "inventory" }],
      deadlines: [{ wait: "look", awaits: null }],
      tasks: [{ taskId, what: "Look." }],
    },
  });
  expect(await call("GET", `/v1/admin/orders/${orderId}`)).toMatchObject({ status: 403 });
  const nobody = "0000000a-0000-7000-8000-00000000dead";
  expect(await call("GET", `/v1/admin/orders/${nobody}`, undefined, { role: "operator" })).toMatchObject({
    ...{ status: 404, body: { code: "ORDER_NOT_FOUND" } },
  });
});
