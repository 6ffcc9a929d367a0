import { describe, expect, test } from "vitest";
import { dayIn, isTimeZone } from "../src/daily-grant.ts";
import { afterRefund, type Earning, earnedBy, earnedUntil } from "../src/earning.ts";
import { isWhole, lotIdOf } from "../src/lot.ts";
import { afterGivingBack, type OrderPart, partsBack } from "../src/order-points.ts";
import { decideRedemption, newVoucherCode, type Voucher, voucherHash } from "../src/voucher.ts";

describe("a day is the calendar's where the grant is", () => {
  test.each([
    ["Pacific/Kiritimati", "2026-11-22T09:59:59.999Z", "2026-11-22"],
    ["Pacific/Kiritimati", "2026-11-22T10:00:00.000Z", "2026-11-23"],
    ["America/New_York", "2026-11-01T03:59:59.999Z", "2026-10-31"],
    // The day on which clocks go back has 25 hours: it is one day.
    ["America/New_York", "2026-11-01T04:00:00.000Z", "2026-11-01"],
    ["America/New_York", "2026-11-02T04:59:59.999Z", "2026-11-01"],
    ["UTC", "2026-12-31T23:59:59.999Z", "2026-12-31"],
  ])("%s, %s: %s", (timeZone, at, day) => {
    expect(dayIn(timeZone, at)).toBe(day);
  });

  test("and a time zone is one that there is", () => {
    expect(["Europe/London", "UTC", "Mars/Base", ""].map(isTimeZone)).toEqual([true, true, false, false]);
  });
});

describe("earning", () => {
  test("is counted in whole minor units, however large the amount", () => {
    expect([earnedBy(99, 100), earnedBy(100, 100), earnedBy(10 ** 12, 9_999)]).toEqual([0, 1, 999_900_000_000]);
  });

  test("ends with the month in which it is a year old, so that a month's points are one lot", () => {
    expect(
      ["2026-11-01T00:00:00.000Z", "2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00.000Z"].map(earnedUntil),
    ).toEqual(["2027-12-01T00:00:00.000Z", "2027-12-01T00:00:00.000Z", "2028-01-01T00:00:00.000Z"]);
  });

  test("refunds take back by what is left of the money, and never more than was earned", () => {
    const earning: Earning = {
      ...{ orderId: "o", personId: "p", currency: "GBP", lotId: "l", basisPoints: 100 },
      ...{ paidMinor: 1_050, earnedMinor: 10, refundedMinor: 0, takenBackMinor: 0 },
    };
    const first = afterRefund(earning, 51);
    const second = afterRefund(first.after, 10_000);
    expect([first.takeBackMinor, second.takeBackMinor]).toEqual([1, 9]);
    expect(second.after).toMatchObject({ refundedMinor: 1_050, takenBackMinor: 10 });
    expect(afterRefund(second.after, 1).takeBackMinor).toBe(0);
  });
});

test("what was taken last goes back first, piece by piece", () => {
  const parts: OrderPart[] = [1, 2, 3].map((number) => ({
    ...{ orderId: "o", number, lotId: `lot ${number}`, amountMinor: 10, givenBackMinor: 0, expiresAt: null },
  }));
  const first = partsBack(parts, 15);
  expect(first.map(({ number, amountMinor }) => [number, amountMinor])).toEqual([
    [3, 10],
    [2, 5],
  ]);
  const then = partsBack(afterGivingBack(parts, first), 100);
  expect(then.map(({ number, amountMinor }) => [number, amountMinor])).toEqual([
    [2, 5],
    [1, 10],
  ]);
  expect(partsBack(parts, 0)).toEqual([]);
});

describe("vouchers", () => {
  const now = "2026-11-22T09:00:00.000Z";
  const voucher: Voucher = { batchId: "b", currency: "GBP", remainingMinor: 100, expiresAt: null, bearers: [] };

  test("give what is wanted of what is left, while they live", () => {
    expect(decideRedemption(voucher, null, now)).toEqual({ kind: "redeemed", amountMinor: 100 });
    expect(decideRedemption(voucher, 100, now)).toEqual({ kind: "redeemed", amountMinor: 100 });
    expect(decideRedemption(voucher, 101, now)).toEqual({ kind: "has-less", remainingMinor: 100 });
    expect(decideRedemption({ ...voucher, remainingMinor: 0 }, null, now)).toEqual({ kind: "empty" });
    expect(decideRedemption({ ...voucher, expiresAt: now }, 1, now)).toEqual({ kind: "ended" });
  });

  test("have codes that differ, and that a person may write as they like", () => {
    const codes = Array.from({ length: 1_000 }, newVoucherCode);
    expect(new Set(codes).size).toBe(1_000);
    expect(voucherHash("o1il0-abcde-fghjk-mnpqr")).toEqual(voucherHash("0111 0ABCDE FGHJKMNPQR"));
  });
});

test("bearers are the whole, each once; one source is one lot", () => {
  const half = { bearer: "a", basisPoints: 5_000 };
  expect([isWhole([half]), isWhole([half, half]), isWhole([half, { ...half, bearer: "b" }])]).toEqual([
    false,
    false,
    true,
  ]);
  expect(lotIdOf("EARNED", "p", "GBP")).toBe(lotIdOf("EARNED", "p", "GBP"));
  expect(lotIdOf("EARNED", "p", "GBP")).not.toBe(lotIdOf("EARNED", "p", "EUR"));
});
