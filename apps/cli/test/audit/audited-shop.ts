import { randomUUID } from "node:crypto";
import { waitFor } from "@onsale/testing";
import { loggedIn } from "../../src/logged-in.ts";
import { type Order, type OrderWish, Shop } from "../../src/shop.ts";
import { ShopClient } from "../../src/shop-client.ts";
import { startTestShop, type TestShop } from "../test-shop.ts";

/** A shop in which everything has happened once, and which is quiet now. */
export interface LivedShop {
  readonly shop: TestShop;
  /** Confirmed, nothing came back. Two of `limited`, three of `plain`. */
  readonly confirmed: string;
  /** Confirmed, and one of `plain` came back. */
  readonly returned: string;
  /** Confirmed; of three of `plain` that came back somebody took one as good and two as damaged. A fourth is still awaited. */
  readonly inspected: string;
  /** The return of the three. */
  readonly inspectedReturn: string;
  /** Confirmed, then cancelled by its buyer. */
  readonly cancelled: string;
  /** Refused: there was not enough. */
  readonly rejected: string;
  /** A hold of two seats, which no order has. */
  readonly held: string;
  /** A product with a limit per buyer. */
  readonly limited: string;
  readonly plain: string;
  /** Somebody with an account and points: of a credit, of a voucher, and earned. */
  readonly member: string;
  /** The member's, confirmed: half paid with points, half by card; one of its two came back. */
  readonly split: string;
  /** The member's, paid with points alone, confirmed and then cancelled. */
  readonly unspent: string;
  readonly voucherBatch: string;
}

const limited = "10001";
const plain = "10002";
const hall = "HALL";

export async function liveThroughADay(): Promise<LivedShop> {
  const shop = await startTestShop();
  const client = new ShopClient({ url: shop.url, connections: 4 });
  const api = new Shop(client);
  await fillShelves(shop, api, client);
  const { accessToken } = await api.guest();
  const buy = async (quantities: Record<string, number>): Promise<string> => {
    const lines = Object.entries(quantities).map(([sku, quantity]) => ({ sku, quantity }));
    const wish = { currency: "GBP", lines, payment: { method: "card" } };
    return (await api.placeOrder({ accessToken, idempotencyKey: randomUUID() }, wish)).orderId;
  };
  const until = (orderId: string, reached: (order: Order) => boolean): Promise<unknown> =>
    waitFor(async () => reached((await api.order({ accessToken, orderId })) as Order), { what: `order ${orderId}` });
  const call = () => ({ accessToken, idempotencyKey: randomUUID() });

  const confirmed = await buy({ [limited]: 2, [plain]: 3 });
  const returned = await buy({ [plain]: 4 });
  const cancelled = await buy({ [plain]: 1 });
  const rejected = await buy({ [plain]: 1_000 });
  for (const orderId of [confirmed, returned, cancelled]) await until(orderId, ({ status }) => status === "CONFIRMED");
  await until(rejected, ({ status }) => status === "REJECTED");
  await api.returnLines(call(), { orderId: returned, lines: [{ sku: plain, quantity: 1 }] });
  await until(returned, ({ refundedMinor }) => refundedMinor > 0);
  await api.cancelOrder(call(), { orderId: cancelled });
  await until(cancelled, ({ status }) => status === "CANCELLED");
  const inspected = await buy({ [plain]: 4 });
  await until(inspected, ({ status }) => status === "CONFIRMED");
  const inspectedReturn = await lookAtReturns(shop, api, client, (quantity) =>
    api.returnLines(call(), { orderId: inspected, lines: [{ sku: plain, quantity }] }),
  );
  await until(inspected, ({ refundedMinor }) => refundedMinor > 0);
  const hold = { lines: [{ sku: hall, units: ["A-1", "A-2"] }] };
  const { body: holds } = await client.send({ ...call(), method: "POST", path: "/v1/holds", body: hold });
  const [held = ""] = (holds as { holdIds: string[] }).holdIds;
  const points = await usePoints(shop, api, client);
  await client.close();
  return {
    shop,
    held,
    confirmed,
    returned,
    inspected,
    inspectedReturn,
    cancelled,
    rejected,
    limited,
    plain,
    ...points,
  };
}

/** Three pieces come back and are looked at, a fourth is only asked for. */
async function lookAtReturns(
  { operator }: TestShop,
  api: Shop,
  client: ShopClient,
  ask: (quantity: number) => Promise<unknown>,
): Promise<string> {
  const { accessToken } = await api.logIn(operator);
  const send = async (method: "GET" | "PUT" | "POST", path: string, body?: object) =>
    (await client.send({ method, path, accessToken, ...(body && { body, idempotencyKey: randomUUID() }) })).body;
  const policy = (inspect: boolean) => send("PUT", "/v1/admin/return-policy", { inspect, lapseAfterDays: 30 });
  await policy(true);
  await ask(3);
  const { returns } = (await send("GET", "/v1/admin/returns")) as { returns: { returnId: string }[] };
  const [{ returnId } = { returnId: "" }] = returns;
  const lines = ["GOOD", "QUARANTINED", "WRITTEN_OFF"].map((verdict) => ({ sku: plain, quantity: 1, verdict }));
  await send("POST", `/v1/admin/returns/${returnId}/inspection`, { lines });
  await ask(1);
  await policy(false);
  return returnId;
}

/** A member is given points, pays an order with them and half of another, sends one back and cancels the other. */
async function usePoints({ operator }: TestShop, api: Shop, client: ShopClient) {
  const credentials = { email: "member@onsale.example", password: "a member's long password" };
  const send = async (as: { email: string; password: string }, method: "GET" | "POST", path: string, body?: object) => {
    const { accessToken } = await api.logIn(as);
    const call = { method, path, accessToken, ...(body && { body, idempotencyKey: randomUUID() }) };
    return (await client.send(call)).body as Record<string, unknown>;
  };
  await api.register({ ...credentials, name: "Member" });
  const { accessToken } = await api.logIn(credentials);
  const member = idOf(accessToken);
  await send(operator, "POST", `/v1/admin/wallets/${member}/credits`, {
    currency: "GBP",
    amountMinor: 400,
    reason: "welcome",
  });
  const wish = { currency: "GBP", faceMinor: 300, count: 2, reason: "spring" };
  const { batchId, codes } = await send(operator, "POST", "/v1/admin/vouchers", wish);
  await send(credentials, "POST", "/v1/wallet/vouchers/redeem", { code: (codes as string[])[0], amountMinor: 200 });

  const call = () => ({ accessToken, idempotencyKey: randomUUID() });
  const until = (orderId: string, reached: (order: Order) => boolean): Promise<unknown> =>
    waitFor(async () => reached((await api.order({ accessToken, orderId })) as Order), { what: `order ${orderId}` });
  const buy = async (quantity: number, payment: OrderWish["payment"]): Promise<string> => {
    const { orderId } = await api.placeOrder(call(), { currency: "GBP", lines: [{ sku: plain, quantity }], payment });
    await until(orderId, ({ status }) => status === "CONFIRMED");
    return orderId;
  };
  const split = await buy(2, { method: "split", pointsMinor: 250 });
  const unspent = await buy(1, { method: "wallet" });
  await api.returnLines(call(), { orderId: split, lines: [{ sku: plain, quantity: 1 }] });
  await until(split, ({ refundedMinor }) => refundedMinor > 0);
  await api.cancelOrder(call(), { orderId: unspent });
  await until(unspent, ({ status }) => status === "CANCELLED");
  return { member, split, unspent, voucherBatch: String(batchId) };
}

/** Whose token it is: the subject of its claims. */
function idOf(accessToken: string): string {
  const [, claims = ""] = accessToken.split(".");
  return (JSON.parse(Buffer.from(claims, "base64url").toString()) as { sub: string }).sub;
}

async function fillShelves({ operator }: TestShop, api: Shop, client: ShopClient): Promise<void> {
  const token = loggedIn(api, operator);
  const call = async () => ({ accessToken: await token(), idempotencyKey: randomUUID() });
  for (const sku of [limited, plain]) {
    await api.publishProduct(await call(), { sku, name: sku, priceMinor: 250, currency: "GBP" });
    await api.receiveStock(await call(), { sku, units: 100 });
  }
  const seats = { sku: hall, units: ["A-1", "A-2", "A-3"] };
  await client.send({ ...(await call()), method: "POST", path: "/v1/admin/unit-pools", body: seats });
  const byHand = { sku: limited, units: -1, reason: "LOST" };
  await client.send({ ...(await call()), method: "POST", path: "/v1/admin/stock-adjustments", body: byHand });
  await client.send({
    method: "PUT",
    path: "/v1/admin/locations/north",
    accessToken: await token(),
    body: { rank: 1 },
  });
  const onItsWay = { sku: limited, from: "main", to: "north", units: 20 };
  await client.send({ ...(await call()), method: "POST", path: "/v1/admin/stock-transfers", body: onItsWay });
  const path = `/v1/admin/stock/${limited}/per-buyer-limit`;
  await client.send({ method: "PUT", path, accessToken: await token(), body: { perBuyerLimit: 5 } });
}
