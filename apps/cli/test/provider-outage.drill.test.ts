import { describe, expect, test } from "vitest";
import {
  drillProviderOutage,
  type Outage,
  oneSwitch,
  ordersEnd,
  ordersGoOn,
  recoveryIsReported,
  reroutesAreSold,
} from "../src/drills/provider-outage.ts";
import type { Attempt } from "../src/drills/steady-buyers.ts";
import { startTestShop } from "./test-shop.ts";

test("while a card provider is dead one other takes over, orders go on, and its return is reported", async () => {
  const shop = await startTestShop();
  try {
    const report = await drillProviderOutage({
      session: shop,
      awayMs: 25_000,
      ordersPerSecond: 20,
      say: () => undefined,
    });
    expect(report.invariants.filter(({ violations }) => violations.length > 0)).toEqual([]);
    expect(report).toMatchObject({ verdict: "pass", figures: { switchedAfterMs: expect.any(Number) } });
    // The circuit opens long before the rule condemns: what comes in between never leaves, and goes to the other one.
    const { begunOnTheDead } = report.figures as { begunOnTheDead: { rerouted: number } };
    expect(begunOnTheDead.rerouted).toBeGreaterThan(0);
  } finally {
    await shop.close();
  }
}, 300_000);

describe("its checks can fail", () => {
  const incident = (what: string, provider: string, doneBy: string | null = null) => ({
    ...{ what, provider, doneBy, why: "FAILURES", at: "2026-11-22T00:00:00.000Z" },
  });
  const outage: Outage = {
    ...{ left: "card-a", leftAt: 1_000, backAt: 20_000, switchedAt: 3_000, reportedAfterMs: 12_000 },
    incidents: [incident("DOWN", "card-a"), incident("SWITCHED", "card-b"), incident("RECOVERED", "card-a")],
  };
  const sold = (number: number, beganAt: number, more: Partial<Attempt> = {}): Attempt => ({
    ...{ number, beganAt, orderId: `order-${number}` },
    end: { status: "CONFIRMED", reason: null, at: beganAt + 100 },
    ...more,
  });
  const violations = (invariant: { violations: readonly string[] }) => invariant.violations.length;

  test("what went well breaks none", () => {
    const attempts = [sold(1, 500), sold(2, 6_000), sold(3, 21_000)];
    const all = [oneSwitch(outage), recoveryIsReported(outage), ordersGoOn(attempts, outage), ordersEnd(attempts)];
    expect(all.map(violations)).toEqual([0, 0, 0, 0]);
    expect(ordersGoOn(attempts, outage).checked).toBe(1);
  });

  test("no switch, two, one back to the dead, and one by hand", () => {
    const [down, switched, recovered] = outage.incidents;
    for (const incidents of [
      [down],
      [down, switched, incident("SWITCHED", "card-c"), recovered],
      [incident("SWITCHED", "card-a")],
      [incident("SWITCHED", "card-b", "olga")],
    ]) {
      expect(violations(oneSwitch({ ...outage, incidents: incidents.filter((it) => it !== undefined) }))).toBe(1);
    }
  });

  test("a payment that is rerouted twice, and one that is not sold", () => {
    const begun = { number: 1, status: "CONFIRMED", reroutes: 1 };
    expect(violations(reroutesAreSold([begun, { ...begun, status: "CANCELLED", reroutes: 0 }]))).toBe(0);
    expect(violations(reroutesAreSold([{ ...begun, reroutes: 2 }]))).toBe(1);
    expect(violations(reroutesAreSold([{ ...begun, status: "CANCELLED" }]))).toBe(1);
  });

  test("a return that nobody reports, and orders that don't go on or don't end", () => {
    const { reportedAfterMs: _, ...rest } = outage;
    expect(violations(recoveryIsReported({ ...rest, reportedAfterMs: undefined }))).toBe(1);
    const cancelled = sold(1, 6_000, { end: { status: "CANCELLED", reason: "TIMED_OUT", at: 7_000 } });
    const open: Attempt = { number: 2, beganAt: 7_000, orderId: "order-2" };
    const refused: Attempt = { number: 3, beganAt: 7_000, refusal: "503" };
    expect(violations(ordersGoOn([cancelled, open, refused], outage))).toBe(3);
    expect(violations(ordersEnd([cancelled, open, refused]))).toBe(1);
  });
});
