import { stockConfirmed, stockLapsed, stockReleased } from "@onsale/contracts/inventory";
import { expect, test } from "vitest";
import {
  type Allocation,
  type AllocationState,
  whenAuthorised,
  whenEnded,
  whenExpired,
  whenGivenUp,
} from "../src/allocation.ts";

const expiresAt = "2026-11-21T09:15:00.000Z";
const inTime = "2026-11-21T09:15:00.000Z";
const tooLate = "2026-11-21T09:15:00.001Z";

const allocation = (state: AllocationState): Allocation => ({
  allocationId: "an-order",
  kind: "ORDER",
  state,
  version: 1,
  buyerId: "ann",
  expiresAt: state === "REFUSED" ? null : expiresAt,
});

const sell = { to: "SOLD", move: "SOLD", tells: stockConfirmed };
const lapse = { to: "LAPSED", move: "EXPIRED", tells: stockLapsed };
const lapseWithNothing = { to: "LAPSED", move: null, tells: stockLapsed };

test.each([
  ["HELD", inTime, sell],
  ["HELD", tooLate, lapse],
  ["SOLD", inTime, undefined],
  ["REFUSED", inTime, lapseWithNothing],
  ["EXPIRED", inTime, lapseWithNothing],
  ["LAPSED", inTime, undefined],
  ["RELEASED", inTime, undefined],
] as const)("authorised while %s at %s", (state, authorisedAt, step) => {
  expect(whenAuthorised(allocation(state), authorisedAt)).toEqual(step);
});

const releaseNothing = { to: "RELEASED", move: null, tells: stockReleased };

test.each([
  ["HELD", { to: "RELEASED", move: "RELEASED", tells: stockReleased }],
  ["SOLD", { to: "RELEASED", move: "UNSOLD", tells: stockReleased }],
  ["REFUSED", undefined],
  ["EXPIRED", releaseNothing],
  ["LAPSED", releaseNothing],
  ["RELEASED", undefined],
] as const)("ended while %s", (state, step) => {
  expect(whenEnded(allocation(state))).toEqual(step);
});

test("a buyer's hold goes back once when it is given up, and not from an order", () => {
  expect(whenGivenUp(allocation("HELD"))).toEqual({ to: "RELEASED", move: "RELEASED", tells: null });
  for (const state of ["EXPIRED", "RELEASED", "ATTACHED"] as const)
    expect(whenGivenUp(allocation(state))).toBeUndefined();
});

test.each([
  ["HELD", { to: "EXPIRED", move: "EXPIRED", tells: null }],
  ["SOLD", undefined],
  ["REFUSED", undefined],
  ["EXPIRED", undefined],
  ["LAPSED", undefined],
  ["RELEASED", undefined],
] as const)("past its time while %s", (state, step) => {
  expect(whenExpired(allocation(state))).toEqual(step);
});
