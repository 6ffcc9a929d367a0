import { Random } from "@onsale/drills";
import { describe, expect, test } from "vitest";
import { disagreements, endInWords, isTurnedBack, type OrderEnd } from "../src/audit/order-ends.ts";
import { services } from "../src/audit/subscriptions.ts";
import { type Cell, cellName } from "../src/drills/saga-faults/attempts.ts";
import { sample } from "../src/drills/saga-faults/sample.ts";
import { outOfReach, scenarios } from "../src/drills/saga-faults/scenarios.ts";
import { faultsOf, requestStep, stageOf, stepsOf } from "../src/drills/saga-faults/steps.ts";

const sold: OrderEnd = {
  ...{ orderId: "o", status: "CONFIRMED", reason: null, progress: "completed", totalMinor: 765, units: 3 },
  ...{ paidMinor: 565, refundedMinor: 0, paidPointsMinor: 200, refundedPointsMinor: 0 },
  ...{ paymentStatus: "CAPTURED", capturedMinor: 565, givenBackMinor: 0, pointsKeptMinor: 200, pointsHeldMinor: 0 },
  ...{ stock: "SOLD", sold: 3, held: 0, messages: 1, openTasks: 0 },
  provider: { captures: 1, capturedMinor: 565, refundedMinor: 0, asideMinor: 0 },
};
const cancelled: OrderEnd = {
  ...{ ...sold, status: "CANCELLED", reason: "TIMED_OUT", refundedMinor: 565, refundedPointsMinor: 200 },
  ...{ givenBackMinor: 565, pointsKeptMinor: 0, stock: "RELEASED", sold: 0 },
  provider: { ...sold.provider, refundedMinor: 565 },
};

describe("how an order ended", () => {
  test("sold or turned back whole, all books agree", () => {
    expect([sold, cancelled].flatMap(disagreements)).toEqual([]);
    expect([sold, cancelled].map(isTurnedBack)).toEqual([false, true]);
    expect(endInWords(cancelled)).toBe("CANCELLED TIMED_OUT, card 565 - 565, points 200 - 200, 0 sold, 1 told");
  });

  test.each<[string, OrderEnd]>([
    ["it has not ended", { ...sold, status: "PENDING" }],
    ["an undo is owed", { ...cancelled, progress: "undone owed reserve-stock" }],
    ["a task is left", { ...sold, openTasks: 1 }],
    ["charged twice", { ...sold, provider: { ...sold.provider, captures: 2 } }],
    ["the provider has charged more", { ...sold, provider: { ...sold.provider, capturedMinor: 1_130 } }],
    ["payments has charged less", { ...sold, capturedMinor: 0 }],
    ["money is still set aside", { ...cancelled, provider: { ...cancelled.provider, asideMinor: 565 } }],
    ["not given back by the provider", { ...cancelled, provider: { ...cancelled.provider, refundedMinor: 0 } }],
    ["the wallet gave nothing back", { ...cancelled, pointsKeptMinor: 200 }],
    ["points are still held", { ...sold, pointsHeldMinor: 200 }],
    ["units are still held", { ...cancelled, held: 3 }],
    ["confirmed and not paid whole", { ...sold, paidPointsMinor: 0, pointsKeptMinor: 0 }],
    ["confirmed without stock", { ...sold, stock: "RELEASED" }],
    ["cancelled and the stock gone", { ...cancelled, sold: 3 }],
  ])("%s", (_, end) => expect(disagreements(end)).not.toEqual([]));
});

test("the steps are those of the services, and what is out of reach is one of them", () => {
  const steps = stepsOf(services, "orchestrated");
  expect(steps).toContain("inventory.reserve-stock does order.placed");
  expect(steps).toContain("payments.move-money settles order.secured");
  expect(steps.map(stageOf)).not.toContain("request");
  expect(Object.keys(outOfReach.orchestrated).filter((name) => !steps.includes(name))).toEqual([]);
});

test("a sample is the seed's, and has every kind of fault", () => {
  const cells: Cell[] = scenarios.flatMap((scenario) =>
    [...stepsOf(services, "orchestrated"), requestStep].flatMap((step) =>
      faultsOf[stageOf(step)].map((fault) => ({ scenario, step, fault })),
    ),
  );
  const names = (seed: number) => sample(cells, new Random(seed)).map(cellName);
  expect(names(1)).toEqual(names(1));
  expect(names(1)).not.toEqual(names(2));
  const kinds = new Set(sample(cells, new Random(1)).map(({ fault }) => fault));
  expect(kinds.size).toBe(6);
});
