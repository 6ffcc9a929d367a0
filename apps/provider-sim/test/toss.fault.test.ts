import type { Delivered } from "@onsale/messaging";
import { createTossProvider } from "@onsale/payments/toss-provider";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { TossSimulator } from "../src/toss-simulator.ts";
import { Counter, orderOf, payable, returned, secured, withdrawn } from "./counter.ts";

const secretKey = "test_sk_of_nobody";
const never = new AbortController().signal;
let toss: TossSimulator;
let provider: ReturnType<typeof createTossProvider>;
let orders = 0;

beforeEach(async () => {
  toss = await TossSimulator.start(secretKey);
  provider = createTossProvider({ url: toss.url, secretKey, attemptTimeoutMs: 2_000 });
});
afterEach(async () => {
  await provider.close();
  await toss[Symbol.asyncDispose]();
});

const buyerId = "0192f0c1-0000-7000-8000-000000000002";
const orderNamed = (amountMinor = 49_900) => ({ orderId: orderOf(++orders), amountMinor, currency: "KRW" });
const authorise = (order: ReturnType<typeof orderNamed>) => provider.authorise({ ...order, key: "a", buyerId }, never);
const inWindow = (order: ReturnType<typeof orderNamed>) =>
  toss.authenticate({ orderId: order.orderId, totalAmount: order.amountMinor });
/** A payment that the buyer has authenticated, and a question about it under a key. */
function authenticated(amountMinor?: number) {
  const order = orderNamed(amountMinor);
  const payment = inWindow(order);
  const asked = (key: string, minor = order.amountMinor) => ({
    ...{ ...order, key, providerId: payment.paymentKey, amountMinor: minor },
  });
  return { payment, asked };
}

describe("the adapter", () => {
  test("the buyer's authentication is the authorisation; confirming it is the charge", async () => {
    const order = orderNamed();
    expect(await authorise(order)).toMatchObject({ kind: "unknown", why: expect.stringContaining("window") });
    const payment = inWindow(order);
    expect(await authorise(order)).toEqual({ kind: "authorised", providerId: payment.paymentKey });
    expect(toss.transactions).toEqual([]);
    const capture = { ...order, key: "c", providerId: payment.paymentKey };
    expect(await provider.capture(capture, never)).toEqual({ kind: "captured" });
    expect(await provider.capture({ ...capture, key: "another" }, never)).toEqual({ kind: "captured" });
    expect(toss.transactions).toMatchObject([{ amount: 49_900, currency: "KRW", status: "DONE" }]);
  });

  test("what the browser paid is compared with the order before it is charged", async () => {
    const [dear, other] = [orderNamed(), orderNamed()];
    toss.authenticate({ orderId: dear.orderId, totalAmount: 1 });
    toss.authenticate({ orderId: other.orderId, totalAmount: 49_900, currency: "USD" });
    expect(await authorise(dear)).toEqual({ kind: "declined", reason: "other_amount" });
    expect(await authorise(other)).toEqual({ kind: "declined", reason: "other_order" });
  });

  test.each(["fail-before", "fail-after", "cut-after"] as const)(
    "%s: one repetition under the key hides it",
    async (fault) => {
      const { asked } = authenticated();
      toss.faults.push(fault);
      expect(await provider.capture(asked("c"), never)).toEqual({ kind: "captured" });
      toss.faults.push(fault);
      expect(await provider.refund(asked("r", 900), never)).toMatchObject({ kind: "refunded" });
      expect(toss.transactions.map(({ amount }) => amount)).toEqual([49_900, 900]);
    },
  );

  test.each(["fail-after", "cut-after"] as const)(
    "%s, twice: unknown, and found by a query without any key",
    async (fault) => {
      const { asked } = authenticated();
      toss.faults.push(fault, fault);
      expect(await provider.capture(asked("c"), never)).toMatchObject({ kind: "unknown" });
      toss.forgetKeys();
      expect(await provider.query({ kind: "capture", ...asked("c") }, never)).toEqual({ kind: "captured" });
      toss.faults.push(fault, fault);
      expect(await provider.refund(asked("r", 900), never)).toMatchObject({ kind: "unknown" });
      toss.forgetKeys();
      const refunded = { kind: "refunded", amountMinor: 900 };
      expect(await provider.query({ kind: "refund", ...asked("r", 900) }, never)).toEqual(refunded);
      expect(await provider.query({ kind: "refund", ...asked("r2", 900) }, never)).toEqual({ kind: "not-found" });
    },
  );

  test("a card that is refused, and a window that has run out, are refused for certain", async () => {
    const [refused, late] = [authenticated(), authenticated()];
    toss.faults.push("reject");
    expect(await provider.capture(refused.asked("c"), never)).toEqual({
      kind: "refused",
      reason: "reject_card_company",
    });
    toss.expire(late.payment);
    const ranOut = { kind: "refused", reason: "not_found_payment_session" };
    expect(await provider.capture(late.asked("d"), never)).toEqual(ranOut);
  });

  test("there is no void: what was not confirmed is unknown until it runs out, what was is said to be charged", async () => {
    const [open, charged] = [authenticated(), authenticated()];
    expect(await provider.cancel(open.asked("v"), never)).toMatchObject({ kind: "unknown" });
    toss.expire(open.payment);
    expect(await provider.cancel(open.asked("v"), never)).toEqual({ kind: "cancelled" });
    await provider.capture(charged.asked("c"), never);
    expect(await provider.cancel(charged.asked("w"), never)).toEqual({ kind: "captured" });
  });

  test("refunds are partial, whole, and never more than was charged", async () => {
    const { asked, payment } = authenticated();
    await provider.capture(asked("c"), never);
    expect(await provider.refund(asked("r1", 40_000), never)).toMatchObject({ amountMinor: 40_000 });
    expect(payment.status).toBe("PARTIAL_CANCELED");
    expect(await provider.refund(asked("r2", 10_000), never)).toEqual({
      kind: "refused",
      reason: "not_cancelable_amount",
    });
    expect(await provider.refund(asked("r3", 9_900), never)).toMatchObject({ amountMinor: 9_900 });
    expect(payment.status).toBe("CANCELED");
  });

  test("dollars have cents there, won have none", async () => {
    const order = { orderId: orderOf(++orders), amountMinor: 1_999, currency: "USD" };
    const { paymentKey } = toss.authenticate({ orderId: order.orderId, totalAmount: 19.99, currency: "USD" });
    expect(await authorise(order)).toMatchObject({ kind: "authorised" });
    expect(await provider.capture({ ...order, key: "c", providerId: paymentKey }, never)).toEqual({ kind: "captured" });
    const statement = (since: string | null) => provider.statement({ since, cursor: null }, never);
    const page = {
      kind: "page",
      lines: [{ kind: "capture", amountMinor: 1_999, currency: "USD", providerId: paymentKey }],
    };
    expect(await statement(null)).toMatchObject(page);
    expect(await statement(new Date(Date.now() - 60_000).toISOString())).toMatchObject(page);
    expect(await statement(new Date(Date.now() + 60_000).toISOString())).toMatchObject({ lines: [], next: null });
  });

  test("a wrong key makes nothing certain; a probe tells who answers", async () => {
    expect(await provider.probe(never)).toBe(true);
    const stranger = createTossProvider({ url: toss.url, secretKey: "test_sk_wrong" });
    expect(await stranger.probe(never)).toBe(false);
    expect(await stranger.capture(authenticated().asked("c"), never)).toMatchObject({ kind: "unknown" });
    await stranger.close();
  });
});

describe("an order's money at Toss", () => {
  let counter: Counter;
  beforeAll(async () => {
    counter = await Counter.open();
  }, 60_000);
  afterAll(() => counter[Symbol.asyncDispose]());

  const ports = () => ({ ...counter.ports, providers: [{ name: "toss", card: provider, webhookSecrets: [] }] });
  const hear = (...events: readonly Delivered[]) => counter.hearWith(ports(), ...events);
  const askAgain = () => counter.run("payments.ask-again", ports());

  test("is authorised when the buyer was in the window, charged once the stock is sure, and given back in parts", async () => {
    const number = ++orders;
    const patient = { ...ports(), askingAgain: { firstMs: 60_000, longestMs: 60_000, overdueMs: 60_000 } };
    await counter.hearWith(patient, payable(number, { amountMinor: 49_900, currency: "KRW" }));
    toss.authenticate({ orderId: orderOf(number), totalAmount: 49_900 });
    await askAgain();
    expect((await counter.books())[number]).toBe("AUTHORISING 0-0=0 authorise?");
    // Toss signs no webhook of a payment: whoever sends one makes us ask, and believe nothing else.
    const hint = { eventType: "PAYMENT_STATUS_CHANGED", data: { orderId: orderOf(number), status: "DONE" } };
    const told = await counter.http.inject({ method: "POST", url: "/v1/webhooks/payment-status/toss", payload: hint });
    expect(told.statusCode).toBe(200);
    await askAgain();
    expect((await counter.books())[number]).toBe("AUTHORISED 0-0=0");
    toss.faults.push("cut-after", "cut-after");
    await hear(secured(number));
    await askAgain();
    await hear(returned(number, 9_900));
    expect((await counter.books())[number]).toBe("CAPTURED 49900-9900=40000");
    await hear(withdrawn(number));
    expect((await counter.books())[number]).toBe("REVERSED 49900-49900=0");
    expect(toss.transactions.map(({ amount }) => amount)).toEqual([49_900, 9_900, 40_000]);
  });

  test("a withdrawn order's authentication is reversed when it has run out, and never charged", async () => {
    const number = ++orders;
    const payment = toss.authenticate({ orderId: orderOf(number), totalAmount: 49_900 });
    await hear(payable(number, { amountMinor: 49_900, currency: "KRW" }));
    await hear(withdrawn(number));
    expect((await counter.books())[number]).toMatch(/^REVERSING 0-0=0 void/);
    toss.expire(payment);
    await askAgain();
    expect((await counter.books())[number]).toBe("REVERSED 0-0=0");
    expect(toss.transactions).toEqual([]);
  });
});
