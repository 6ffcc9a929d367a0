import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requiresKafka } from "@onsale/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  backlogIsTold,
  everyOrderIsConfirmed,
  intakeGoesOn,
  nobodyIsServedMeanwhile,
  type ShopOutage,
} from "../src/drills/shop-broker-outage.ts";
import { playShopBrokerOutage } from "../src/drills/shop-on-kafka.ts";
import type { Attempt } from "../src/drills/steady-buyers.ts";

test.skipIf(!(await requiresKafka()))(
  "while the shop's broker is frozen, and killed, orders are taken, and all of them are confirmed afterwards",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "onsale-test-shop-outage-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const report = await playShopBrokerOutage(join(folder, "shop"), { awayMs: 8_000, say: console.log });
    // How long an acceptance may take is judged in the recorded run: here other tests have the machine.
    for (const { id, violations } of report.invariants) if (id !== "intake-goes-on") expect(violations, id).toEqual([]);
    expect(report.figures).toMatchObject({ frozen: { orders: 140 }, killed: { orders: 120 } });
  },
  300_000,
);

describe("its checks can fail", () => {
  const sold = (number: number, beganAt: number, more: Partial<Attempt> = {}): Attempt => ({
    ...{ number, beganAt, acceptedAt: beganAt + 5, orderId: `order-${number}` },
    end: { status: "CONFIRMED", reason: null, at: 12_000 },
    ...more,
  });
  const told = (events: number, growthPerSecond = 1) => ({ events, growthPerSecond, bound: 1_000 });
  const outage: ShopOutage = {
    ...{ leftAt: 1_000, backAt: 11_000 },
    attempts: [sold(1, 2_000), sold(2, 3_000), sold(3, 11_500)],
    told: [told(1), told(2)],
  };
  const { acceptedAt: _, ...unanswered } = sold(4, 2_000);
  const { end: __, ...open } = sold(4, 2_000);
  type Judge = (outage: ShopOutage) => { readonly violations: readonly string[] };

  test.each<[string, Judge, Partial<ShopOutage>]>([
    ["an order that is accepted late", intakeGoesOn, { attempts: [sold(1, 2_000, { acceptedAt: 4_001 })] }],
    ["an order that is not accepted", intakeGoesOn, { attempts: [unanswered] }],
    ["an order that does not end", everyOrderIsConfirmed, { attempts: [open] }],
    [
      "an order that is cancelled",
      everyOrderIsConfirmed,
      { attempts: [sold(1, 2_000, { end: { status: "CANCELLED", reason: "TIMED_OUT", at: 12_000 } })] },
    ],
    ["a backlog that is not told", backlogIsTold, { told: [told(0), told(1)] }],
    ["a growth that is not told", backlogIsTold, { told: [told(1, 0), told(2, 0)] }],
    ["no look at all", backlogIsTold, { told: [] }],
    ["a bound that is passed", backlogIsTold, { told: [told(1), told(1_001)] }],
    [
      "a broker that was not away",
      nobodyIsServedMeanwhile,
      { attempts: [sold(1, 2_000, { end: { status: "CONFIRMED", reason: null, at: 2_300 } })] },
    ],
  ])("%s", (_name, judge, changed) => {
    expect(judge(outage).violations).toEqual([]);
    expect(judge({ ...outage, ...changed }).violations).not.toEqual([]);
  });
});
