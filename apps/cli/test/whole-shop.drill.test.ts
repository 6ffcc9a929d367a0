/** What only shows where every service is the real one: time that passes in the wrong place, money of every sort, the door. */

import { randomUUID } from "node:crypto";
import type { OrderId } from "@onsale/contracts/ids";
import { as, boolean, type Database, openDatabase, sql, text, uuid } from "@onsale/postgres";
import { type FaultKind, type LedgerPayment, noFaults, setFaults } from "@onsale/provider-sim";
import { waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audit } from "../src/audit/audit.ts";
import { readProviderLedger } from "../src/audit/provider-ledger.ts";
import { loggedIn } from "../src/logged-in.ts";
import { operatingIn } from "../src/operate/operations-api.ts";
import { type Order, type OrderWish, Shop } from "../src/shop.ts";
import { ShopClient } from "../src/shop-client.ts";
import { startTestShop, type TestShop, type TestShopOptions } from "./test-shop.ts";

const timeoutMs = 120_000;
const withinMs = 30_000;

/** A shop, those who work and buy in it, and its database. */
class Town implements AsyncDisposable {
  readonly shop: TestShop;
  readonly database: Database;
  readonly #client: ShopClient;
  readonly #people: Shop;
  readonly #operator: () => Promise<string>;

  private constructor(shop: TestShop) {
    this.shop = shop;
    this.database = openDatabase({ url: shop.databaseUrl, connections: 1, applicationName: "test" });
    this.#client = new ShopClient({ url: shop.url, connections: 4, signal: shop.signal });
    this.#people = new Shop(this.#client);
    this.#operator = loggedIn(this.#people, shop.operator);
  }

  static async open(options?: TestShopOptions): Promise<Town> {
    return new Town(await startTestShop(options));
  }

  async stock(units: number, { priceMinor = 1_000, currency = "GBP" } = {}): Promise<string> {
    const sku = `WHOLE-${randomUUID().slice(0, 8)}`;
    await this.#people.publishProduct(await this.#asOperator(), { sku, name: "A thing", priceMinor, currency });
    await this.#people.receiveStock(await this.#asOperator(), { sku, units });
    return sku;
  }

  async guest(): Promise<Buyer> {
    return this.#buyer((await this.#people.guest()).accessToken);
  }

  async member(points: { currency: string; amountMinor: number }): Promise<Buyer> {
    const person = { email: `${randomUUID()}@example.com`, password: "correct horse", name: "Ann" };
    const { accessToken = "" } = (await this.#people.register(person)) ?? {};
    const accountId = await this.#people.accountId({ accessToken });
    const call = await this.#asOperator();
    const credit = { ...points, reason: "a welcome" };
    // The wallet hears of an account a moment after it was made.
    await waitFor(() => this.#people.givePoints(call, { accountId, ...credit }));
    return this.#buyer(accessToken);
  }

  operate<Result>(work: Parameters<typeof operatingIn<Result>>[1]): Promise<Result> {
    return operatingIn(this.shop, work);
  }

  /** Of the provider that gets the payments. */
  async switchOn(shares: Partial<Record<FaultKind, number>>): Promise<void> {
    const { url, apiSecret } = this.#provider();
    await setFaults(url, apiSecret, { ...noFaults, shares });
  }

  async ledgerOf(orderId: string): Promise<string[]> {
    const lines: LedgerPayment[] = [];
    for await (const line of readProviderLedger(this.#provider())) if (line.reference === orderId) lines.push(line);
    return lines.map(({ status, currency, capturedMinor, refundedMinor }) =>
      [status, currency, capturedMinor, refundedMinor].join(" "),
    );
  }

  async violations(): Promise<unknown> {
    return (await audit(this.shop)).violations;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#client.close(), this.database.close()]);
    await this.shop.close();
  }

  #provider() {
    const [first] = this.shop.providers;
    if (first === undefined) throw new Error("The shop has no card provider.");
    return first;
  }

  async #asOperator() {
    return { accessToken: await this.#operator(), idempotencyKey: randomUUID() };
  }

  #buyer(accessToken: string): Buyer {
    const call = () => ({ accessToken, idempotencyKey: randomUUID() });
    const look = async (orderId: string): Promise<Order> => {
      const order = await this.#people.order({ accessToken, orderId });
      if (order === undefined) throw new Error(`There is no order ${orderId}.`);
      return order;
    };
    return {
      look,
      place: async (wish: OrderWish) => (await this.#people.placeOrder(call(), wish)).orderId,
      returns: (orderId: string, lines: OrderWish["lines"]) => this.#people.returnLines(call(), { orderId, lines }),
      end: async (orderId: string): Promise<string> => {
        await waitFor(async () => (await look(orderId)).status !== "PENDING", { withinMs });
        const { status, reason } = await look(orderId);
        return `${status} ${reason}`;
      },
    };
  }
}

interface Buyer {
  look(orderId: string): Promise<Order>;
  place(wish: OrderWish): Promise<string>;
  returns(orderId: string, lines: OrderWish["lines"]): Promise<unknown>;
  /** How the order ends, and why. */
  end(orderId: string): Promise<string>;
}

const byCard = (currency: string, sku: string, quantity = 1): OrderWish => ({
  ...{ currency, lines: [{ sku, quantity }] },
  payment: { method: "card" },
});

test(
  "paid orders behind a feed that is down for five times as long as they may take are not cancelled",
  async () => {
    // Ten minutes behind a bound of two are five seconds behind one of one.
    const boundMs = 1_000;
    await using town = await Town.open({ stepTimeoutsMs: { "authorise-payment": boundMs } });
    const sku = await town.stock(5);
    const buyer = await town.guest();
    await town.operate((api) =>
      api.send("POST", "consumers/orders/pause", { source: "payments", reason: "The relay is down." }),
    );
    await waitFor(async () => (await town.database.query(isHeldSql, []))[0]?.isHeld, { withinMs });
    const orderIds = await Promise.all(Array.from({ length: 5 }, () => buyer.place(byCard("GBP", sku))));
    for (const orderId of orderIds)
      await waitFor(async () => (await town.ledgerOf(orderId)).includes("authorised GBP 0 0"), { withinMs });
    await waitFor(async () => (await town.database.query(isLongOverdueSql, [String(5 * boundMs)]))[0]?.isOverdue, {
      withinMs,
    });
    for (const orderId of orderIds) expect((await buyer.look(orderId)).status).toBe("PENDING");
    await town.operate((api) => api.send("POST", "consumers/orders/resume", { reason: "It is back." }));
    for (const orderId of orderIds) {
      expect(await buyer.end(orderId)).toBe("CONFIRMED null");
      expect(await town.ledgerOf(orderId)).toEqual(["captured GBP 1000 0"]);
    }
    expect(await town.violations()).toEqual([]);
  },
  timeoutMs,
);

describe("a shop behind a proxy", { timeout: timeoutMs }, () => {
  let town: Town;
  beforeAll(async () => {
    town = await Town.open({ trustedProxies: "127.0.0.1" });
  }, timeoutMs);
  afterAll(() => town[Symbol.asyncDispose]());

  test("a hold that expires while its order is being paid: nobody is charged, and another buyer has the unit", async () => {
    const sku = await town.stock(1);
    const [slow, quick] = [await town.guest(), await town.guest()];
    // The provider sets the money aside and its answer is lost; then it can't be asked either.
    await town.switchOn({ webhookNever: 1, failAfter: 1 });
    const orderId = await slow.place(byCard("GBP", sku));
    await waitFor(async () => (await town.ledgerOf(orderId)).includes("authorised GBP 0 0"), { withinMs });
    await town.switchOn({ down: 1 });
    await town.database.execute(holdEndsSql, [orderId]);
    await waitFor(async () => (await town.database.query(isExpiredSql, [orderId]))[0]?.isExpired, { withinMs });
    expect((await slow.look(orderId)).status).toBe("PENDING");
    await town.switchOn({});
    await town.database.execute(askNowSql, []);
    const other = await quick.place(byCard("GBP", sku));
    expect(await quick.end(other)).toBe("CONFIRMED null");
    expect(await slow.end(orderId)).toBe("REJECTED HOLD_EXPIRED");
    await waitFor(async () => (await town.ledgerOf(orderId)).includes("cancelled GBP 0 0"), { withinMs });
    expect(await town.ledgerOf(orderId)).toHaveLength(1);
    expect(await town.ledgerOf(other)).toEqual(["captured GBP 1000 0"]);
    expect(await town.violations()).toEqual([]);
  });

  test.each([
    ["JPY", 1_537, ["JPY 3,611", "JPY 1,204"]],
    ["EUR", 1_999, ["EUR 49.97", "EUR 16.66"]],
    ["BHD", 12_345, ["BHD 36.035", "BHD 12.012"]],
  ])("%s %i three times, partly with points: what comes back piece by piece is what was paid", async (...given) => {
    const [currency, priceMinor, words] = given;
    const sku = await town.stock(3, { priceMinor, currency });
    const buyer = await town.member({ currency, amountMinor: 1_000 });
    const paidMinor = 3 * priceMinor - 1_000;
    const wish = { ...byCard(currency, sku, 3), payment: { method: "split", pointsMinor: 1_000 } };
    const orderId = await buyer.place(wish);
    expect(await buyer.end(orderId)).toBe("CONFIRMED null");
    expect(await town.ledgerOf(orderId)).toEqual([`captured ${currency} ${paidMinor} 0`]);
    let before = { refundedMinor: 0, refundedPointsMinor: 0 };
    for (const piece of [1, 2, 3]) {
      await buyer.returns(orderId, [{ sku, quantity: 1 }]);
      await waitFor(async () => (await buyer.look(orderId)).refundedMinor > before.refundedMinor, { withinMs });
      const order = await buyer.look(orderId);
      expect(order.refundedMinor).toBeLessThanOrEqual(paidMinor);
      expect(order.refundedPointsMinor).toBeLessThanOrEqual(1_000);
      // A third each, to the minor unit.
      expect(Math.abs(order.refundedMinor - (piece * paidMinor) / 3)).toBeLessThan(1);
      before = order;
    }
    expect(before).toMatchObject({ refundedMinor: paidMinor, refundedPointsMinor: 1_000 });
    await waitFor(async () =>
      (await town.ledgerOf(orderId)).includes(`captured ${currency} ${paidMinor} ${paidMinor}`),
    );
    const { history } = await town.operate((api) => api.get<{ history: { text: string }[] }>(`orders/${orderId}`));
    const told = history.map((it) => JSON.stringify(it)).join("\n");
    for (const amount of words) expect(told).toContain(amount);
  });

  test("behind a trusted proxy a guesser uses up the tries of their own place, not the proxy's", async () => {
    const { email } = town.shop.operator;
    const guess = async (forwardedFor: string, password = "a guess") => {
      const headers = { "content-type": "application/json", "x-forwarded-for": forwardedFor };
      const body = JSON.stringify({ email, password });
      return (await fetch(`${town.shop.url}/v1/tokens`, { method: "POST", headers, body })).status;
    };
    const answers: number[] = [];
    while (answers.at(-1) !== 429 && answers.length < 20) answers.push(await guess("203.0.113.7"));
    expect(answers.at(-1)).toBe(429);
    // What the guesser writes in front of what the proxy adds is nobody's word.
    expect(await guess("198.51.100.1, 203.0.113.7")).toBe(429);
    expect(await guess("203.0.113.8", town.shop.operator.password)).toBe(200);
  });

  test("the books agree", async () => {
    expect(await town.violations()).toEqual([]);
  });
});

const order = as<OrderId>(uuid);
const holdEndsSql = sql("test.hold-ends", { takes: [order], gives: {} })`
  update inventory.allocation set expires_at = now() - interval '1 second' where allocation_id = $1 and state = 'HELD'`;
const askNowSql = sql("test.ask-now", { takes: [], gives: {} })`
  update payments.unsettled set next_ask_at = now()`;
const isExpiredSql = sql("test.hold-is-expired", { takes: [order], gives: { isExpired: boolean } })`
  select state = 'EXPIRED' as "isExpired" from inventory.allocation where allocation_id = $1`;
const isHeldSql = sql("test.feed-is-paused", { takes: [], gives: { isHeld: boolean } })`
  select bool_and(owner is null or lease_until < now()) as "isHeld" from orders.reader_cursor where source = 'payments'`;
const isLongOverdueSql = sql("test.long-overdue", { takes: [text], gives: { isOverdue: boolean } })`
  select count(*) = 5 as "isOverdue" from orders.saga_deadline
  where awaits = 'payments' and due_at < now() - make_interval(secs => $1::float8 / 1000)`;
