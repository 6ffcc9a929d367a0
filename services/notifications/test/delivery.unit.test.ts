import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allowed, longestCreditMs, longestPauseMs, turnLimit } from "../src/bulk-message.ts";
import { lineNewsOf, outcomeOf, patientDelivery, type Told } from "../src/delivery.ts";
import { destinationOf } from "../src/message.ts";
import { asksAddress, whyRefused } from "../src/settings.ts";

const notTaken = (fault: "line" | "message" | "refused", retryAfterMs = 0): Told => ({
  ...{ kind: "not-taken", fault, retryAfterMs, failure: "no" },
});

describe("after a call", () => {
  test("a message waits longer each time, never longer than the longest, and the last time comes after a night", () => {
    const waits = Array.from({ length: patientDelivery.attempts - 1 }, (_, index) =>
      outcomeOf(notTaken("message"), index + 1, patientDelivery, 1),
    ).map(({ waitMs }) => waitMs);
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(Math.max(...waits)).toBe(patientDelivery.longestWaitMs);
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeGreaterThan((9 * 3_600_000) / 2);
    expect(outcomeOf(notTaken("message"), patientDelivery.attempts, patientDelivery, 1).status).toBe("dead");
  });

  test("it never comes sooner than the other side asked, and no message is ever lost from sight", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("line", "message", "refused"),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 0, max: 3_600_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (fault, attempts, retryAfterMs, spread) => {
          const { status, waitMs, failure } = outcomeOf(
            notTaken(fault, retryAfterMs),
            attempts,
            patientDelivery,
            spread,
          );
          expect(failure).toBe("no");
          if (status === "pending") expect(waitMs).toBeGreaterThanOrEqual(retryAfterMs);
          else expect([status, fault === "refused" || attempts >= patientDelivery.attempts]).toEqual(["dead", true]);
        },
      ),
    );
  });

  test("an attempt that did not take place is given back; one that was broken off is not", () => {
    expect(outcomeOf({ kind: "uncalled" }, 1, patientDelivery, 0)).toMatchObject({ status: "pending", isUnused: true });
    expect(outcomeOf({ kind: "interrupted" }, 1, patientDelivery, 0)).toMatchObject({
      status: "pending",
      isUnused: false,
    });
  });

  test.each<[string, Told[], string, number]>([
    ["something was taken", [{ kind: "taken" }, notTaken("line")], "works", 0],
    ["a message was refused: somebody is there", [notTaken("refused")], "works", 0],
    ["nobody is there", [notTaken("line"), { kind: "uncalled" }], "failed", 0],
    ["we are asked to slow down", [{ kind: "taken" }, notTaken("line", 5_000)], "failed", 5_000],
    ["nobody was called", [{ kind: "unwanted" }, { kind: "interrupted" }], "nothing", 0],
  ])("the line, when %s", (_, told, kind, retryAfterMs) => {
    expect(lineNewsOf(told)).toEqual({ kind, ...(kind === "failed" && { retryAfterMs }) });
  });
});

describe("where a message goes", () => {
  const reach = {
    email: "a@example.com",
    emailConfirmed: true,
    pushToken: "t",
    orders: ["mail"],
    news: ["push"],
  } as const;
  test.each([
    ["a chat asks nobody", { kind: "order-confirmed", channel: "chat" }, undefined, "shop"],
    ["nobody is known", { kind: "order-confirmed", channel: "mail" }, undefined, "unwanted"],
    ["chosen and confirmed", { kind: "order-confirmed", channel: "mail" }, reach, "person"],
    ["not chosen for orders", { kind: "order-confirmed", channel: "push" }, reach, "unwanted"],
    ["chosen for news", { kind: "news", channel: "push" }, reach, "person"],
    ["not chosen for news", { kind: "news", channel: "mail" }, reach, "unwanted"],
    ["not confirmed", { kind: "order-confirmed", channel: "mail" }, { ...reach, emailConfirmed: false }, "unwanted"],
    [
      "the question itself",
      { kind: "confirm-address", channel: "mail" },
      { ...reach, emailConfirmed: false },
      "person",
    ],
    ["the token was taken back", { kind: "news", channel: "push" }, { ...reach, pushToken: null }, "unwanted"],
  ] as const)("%s", (_, message, known, kind) => {
    expect(destinationOf(message, known).kind).toBe(kind);
  });
});

describe("a wish", () => {
  const wish = { language: "en", email: "a@example.com", pushToken: null, orders: ["mail"], news: [] } as const;
  test("is refused where the shop has no such channel, or the address is missing", () => {
    expect(whyRefused(wish, () => true)).toBeUndefined();
    expect(whyRefused(wish, (channel) => channel !== "mail")).toEqual({ kind: "channel-missing", channel: "mail" });
    expect(whyRefused({ ...wish, news: ["push"] }, () => true)).toEqual({ kind: "no-address", channel: "push" });
  });

  test("asks an address that is new, or whose last question came to nothing", () => {
    const known = {
      email: wish.email,
      emailConfirmed: false,
      codeHash: Buffer.alloc(32),
      codeExpired: false,
      wrongCodes: 0,
    };
    expect(asksAddress({ email: null }, undefined)).toBe(false);
    expect(asksAddress(wish, undefined)).toBe(true);
    expect(asksAddress(wish, known)).toBe(false);
    expect(asksAddress(wish, { ...known, email: "b@example.com", emailConfirmed: true })).toBe(true);
    expect(asksAddress(wish, { ...known, codeExpired: true })).toBe(true);
    expect(asksAddress(wish, { ...known, wrongCodes: 5 })).toBe(true);
    expect(asksAddress(wish, { ...known, emailConfirmed: true, codeHash: null })).toBe(false);
  });
});

test("a rate is never exceeded over any stretch of turns, and is reached where turns are frequent", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 500, noNaN: true }),
      fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 200 }),
      (rate, pauses) => {
        const [creditMs, pauseMs] = [longestCreditMs(rate), longestPauseMs(rate)];
        let [now, paidUntil, sent] = [0, -1_000 / rate, 0];
        for (const pause of pauses) {
          now += pause;
          const units = allowed(Math.min(now - paidUntil, creditMs), rate);
          paidUntil = Math.max(paidUntil, now - creditMs) + (units * 1_000) / rate;
          sent += units;
          expect(units).toBeLessThanOrEqual(turnLimit);
        }
        // Beside what the time allows, the credit that it may begin with.
        expect(sent).toBeLessThanOrEqual(((now + pauseMs) * rate) / 1_000 + 1);
        if (Math.max(...pauses) * rate < 250_000 && Math.max(...pauses) < pauseMs)
          expect(sent).toBeGreaterThanOrEqual(Math.floor((now * rate) / 1_000) - 1);
      },
    ),
    // One run in a few hundred found what was wrong here once.
    { numRuns: 5_000 },
  );
});
