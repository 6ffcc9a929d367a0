import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import type { Static } from "typebox";
import { describe, expect, test } from "vitest";
import type { Movement } from "../src/card-provider-shapes.ts";
import { begin, hear, secure, withdraw } from "../src/payment.ts";
import { judge, type WebhookEvent } from "../src/webhook.ts";
import { isSigned } from "../src/webhook-signature.ts";
import { orderId } from "./till.ts";

const secret = `whsec_${randomBytes(32).toString("base64")}`;
const other = `whsec_${randomBytes(32).toString("base64")}`;
const nowMs = Date.parse("2026-11-21T09:00:00.000Z");
const body = Buffer.from('{"events":[{"id":"evt_1","wert":"½"}]}');

/** Signed by the reference implementation of Standard Webhooks. */
function signed({ by = secret, atMs = nowMs, id = "msg_1" } = {}) {
  const timestamp = String(Math.floor(atMs / 1_000));
  return { id, timestamp, signature: new Webhook(by).sign(id, new Date(atMs), body.toString()), body };
}

describe("a signature", () => {
  test("of the reference implementation is recognised", () => {
    expect(isSigned(signed(), [secret], nowMs)).toBe(true);
  });

  test("by either of two live secrets is recognised, by a retired one not", () => {
    expect(isSigned(signed({ by: other }), [secret, other], nowMs)).toBe(true);
    expect(isSigned(signed({ by: other }), [secret], nowMs)).toBe(false);
  });

  test("may stand among others", () => {
    const message = signed();
    const signature = `v1a,AAAA ${signed({ by: other }).signature} ${message.signature}`;
    expect(isSigned({ ...message, signature }, [secret], nowMs)).toBe(true);
  });

  test.each([
    ["another body", { body: Buffer.from(body.toString().replace("evt_1", "evt_2")) }],
    ["another id", { id: "msg_2" }],
    ["another time", { timestamp: String(nowMs / 1_000 - 1) }],
    ["no id", { id: undefined }],
    ["no time", { timestamp: undefined }],
    ["a time that is no number", { timestamp: "1e3" }],
    ["no signature", { signature: undefined }],
    ["an empty signature", { signature: "v1," }],
    ["a signature that is cut short", { signature: signed().signature.slice(0, 20) }],
    ["another version", { signature: signed().signature.replace("v1,", "v2,") }],
  ])("with %s is refused", (_, change) => {
    expect(isSigned({ ...signed(), ...change }, [secret], nowMs)).toBe(false);
  });

  test("counts for five minutes, and not before its time", () => {
    const minutes = (count: number) => isSigned(signed({ atMs: nowMs + count * 60_000 }), [secret], nowMs);
    expect([minutes(-5), minutes(5)]).toEqual([true, true]);
    expect([minutes(-5.1), minutes(5.1)]).toEqual([false, false]);
  });
});

describe("an event", () => {
  const now = "2026-11-21T09:00:00.000Z";
  const paymentId = "0192f0c1-0000-7000-8000-000000000005";
  const order = {
    orderId: orderId(1),
    paymentId,
    buyerId: "b",
    amountMinor: 1000,
    currency: "GBP",
    provider: "card-a",
    cause: { correlationId: "c" },
  };
  const asking = begin(order, now).payment;
  const authorised = hear(asking, "authorise", { kind: "authorised", providerId: "pay_1" }, now).payment;
  const capturing = secure(authorised, now).payment;
  const event = (
    movement: Partial<Static<typeof Movement>>,
    change: Partial<WebhookEvent["data"]> = {},
  ): WebhookEvent => ({
    id: "evt_1",
    data: {
      id: "pay_1",
      reference: orderId(1),
      amountMinor: 1000,
      currency: "GBP",
      movement: { kind: "authorise", key: `${paymentId}.authorise`, amountMinor: 1000, ...movement },
      ...change,
    },
  });
  const capture = { kind: "capture", key: `${paymentId}.capture` } as const;

  test("that answers the open question settles it", () => {
    expect(judge(event({}), asking, "card-a")).toMatchObject({
      kind: "settles",
      movement: "authorise",
      answer: { kind: "authorised", providerId: "pay_1" },
    });
    expect(judge(event({ refused: "insufficient_funds" }), asking, "card-a")).toMatchObject({
      answer: { kind: "declined", reason: "insufficient_funds" },
    });
    expect(judge(event(capture), capturing, "card-a")).toMatchObject({ kind: "settles", answer: { kind: "captured" } });
  });

  test("of what is known already, or was replaced by another question, is noted", () => {
    expect(judge(event({}), capturing, "card-a")).toEqual({ kind: "noted" });
    expect(judge(event(capture), withdraw(capturing, now).payment, "card-a")).toEqual({ kind: "noted" });
    expect(judge(event(capture), authorised, "card-a")).toEqual({ kind: "noted" });
  });

  test.each([
    ["UNKNOWN_ORDER", event({}), undefined],
    ["AMOUNT", event({}, { amountMinor: 1 }), asking],
    ["AMOUNT", event({ amountMinor: 1 }), asking],
    ["CURRENCY", event({}, { currency: "EUR" }), asking],
    ["KEY", event({ key: "somebody.authorise" }), asking],
    ["KEY", event({ key: `${paymentId}x.authorise` }), asking],
    ["PROVIDER_ID", event(capture, { id: "pay_2" }), capturing],
  ])("with another %s is refused", (why, wrong, payment) => {
    expect(judge(wrong, payment, "card-a")).toEqual({ kind: "refused", why });
  });

  test("of a provider that does not have the payment is refused", () => {
    expect(judge(event({}), asking, "card-b")).toEqual({ kind: "refused", why: "PROVIDER" });
  });
});
