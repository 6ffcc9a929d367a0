import { describe, expect, test } from "vitest";
import { stockOf } from "../../src/replay/plan.ts";
import { matchReturns } from "../../src/replay/returns.ts";
import { planOf, planOfLines, realInvoices } from "./invoices.ts";

describe("the real invoices", async () => {
  const plan = await planOf(realInvoices);

  test("every line is ordered, answered or refused, once", () => {
    expect(plan).toMatchObject({ lines: 9_999, invoices: 512, repricedLines: 3_071 });
    expect(plan.refusedLines).toEqual({ SERVICE_CODE: 38, NEGATIVE_QUANTITY: 30, ZERO_PRICE: 16, NO_EARLIER_SALE: 88 });
    const answered = plan.cancellations.flatMap(({ lines }) => lines).length;
    const refused = Object.values(plan.refusedLines).reduce((sum, count) => sum + count, 0);
    expect(answered).toBe(10);
    expect(9_999 - refused - answered).toBe(9_817);
  });

  test("what is left to order", () => {
    expect(plan.orders).toHaveLength(423);
    expect(plan.orders.filter(({ customer }) => customer === undefined)).toHaveLength(23);
    expect(plan.products.size).toBe(1_985);
    const units = [...plan.products.values()].reduce((sum, { orderedUnits }) => sum + orderedUnits, 0);
    expect(units).toBe(90_007);
    expect(plan.products.get("85123A")).toMatchObject({ name: "WHITE HANGING HEART T-LIGHT HOLDER", priceMinor: 255 });
  });

  test("no order names a product twice", () => {
    for (const { lines } of plan.orders) expect(new Set(lines.map(({ sku }) => sku)).size).toBe(lines.length);
  });
});

describe("refusals, the first that fits", () => {
  test.each([
    ["a service", "1 POST 1 18.00", { SERVICE_CODE: 1 }],
    ["a service with a negative quantity at price zero", "1 D -1 0", { SERVICE_CODE: 1 }],
    ["a service on a cancellation", "C1 POST -1 18.00 17850", { SERVICE_CODE: 1 }],
    ["four digits", "1 1234 1 1.00", { SERVICE_CODE: 1 }],
    ["a quantity that is no number", "1 85123A x 1.00", { UNREADABLE: 1 }],
    ["a negative quantity", "1 85123A -3 1.00", { NEGATIVE_QUANTITY: 1 }],
    ["a quantity of zero", "1 85123A 0 1.00", { NEGATIVE_QUANTITY: 1 }],
    ["a negative quantity at price zero", "1 85123A -3 0", { NEGATIVE_QUANTITY: 1 }],
    ["price zero", "1 85123A 3 0", { ZERO_PRICE: 1 }],
    ["a negative price", "1 85123A 3 -1.00", { ZERO_PRICE: 1 }],
    ["price zero on a cancellation", "C1 85123A -3 0 17850", { ZERO_PRICE: 1 }],
    ["a cancellation of nothing", "C1 85123A -3 1.00 17850", { NO_EARLIER_SALE: 1 }],
    ["a guest's cancellation", "C1 85123A -3 1.00", { NO_EARLIER_SALE: 1 }],
  ])("%s", async (_, line, refusedLines) => {
    const plan = await planOfLines(line);
    expect(plan.refusedLines).toEqual(refusedLines);
    expect(plan.orders).toEqual([]);
    expect(plan.cancellations).toEqual([]);
  });

  test("a refused line leaves the rest of its invoice ordered", async () => {
    const plan = await planOfLines("1 POST 1 18.00 A", "1 85123A 6 2.55 A", "1 22222 2 0 A");
    expect(plan.orders).toMatchObject([{ invoice: "1", lines: [{ sku: "85123A", quantity: 6 }] }]);
  });

  test("of 1,002 products in one invoice the first 1,000 are ordered; naming one of them again needs no place", async () => {
    const lines = Array.from({ length: 1_002 }, (_, index) => `1 ${20_000 + index} 1 1.00`);
    const plan = await planOfLines(...lines, "1 20000 4 1.00");
    expect(plan.refusedLines).toEqual({ TOO_MANY_LINES: 2 });
    expect(plan.orders[0]?.lines).toHaveLength(1_000);
    expect(plan.orders[0]?.lines[0]).toEqual({ sku: "20000", quantity: 5 });
    expect(plan.products.has("21001")).toBe(false);
  });
});

describe("products", () => {
  test("cost what the first valid price says; lines at another price are counted", async () => {
    const plan = await planOfLines("1 85123A 1 0", "2 85123A 1 2.55", "3 85123A 1 2.95", "4 85123A 1 2.55");
    expect(plan.products.get("85123A")).toMatchObject({ priceMinor: 255, orderedUnits: 3 });
    expect(plan.repricedLines).toBe(1);
  });

  test("codes are taken as written", async () => {
    const plan = await planOfLines("1 85123A 1 1.00", "1 85123a 2 3.00");
    expect([...plan.products.keys()]).toEqual(["85123A", "85123a"]);
  });

  test("repeated in one invoice they become one line, also when other invoices stand between", async () => {
    const plan = await planOfLines("1 85123A 1 1.00", "2 85123A 5 1.00", "1 85123A 2 1.00");
    expect(plan.orders.map(({ invoice, lines }) => [invoice, lines[0]?.quantity])).toEqual([
      ["1", 3],
      ["2", 5],
    ]);
  });

  test.each([
    [5, 600_000, 3],
    [15, 600_000, 9],
    [1, 600_000, 1],
    [7, 1_000_000, 7],
    [100, 70_000, 7],
    [10, 0, 0],
  ])("of %i units a share of %i millionths is %i, rounded up and not by a hair", (orderedUnits, millionths, units) => {
    expect(stockOf({ orderedUnits }, { millionths })).toBe(units);
  });
});

describe("returns", () => {
  const all = () => true;
  const returnsOf = async (lines: readonly string[], fulfilled: (invoice: string) => boolean = all) => {
    const { orders, cancellations } = await planOfLines(...lines);
    const { returns, unmatched } = matchReturns(orders, cancellations, ({ invoice }) => fulfilled(invoice));
    const shown = returns.map(({ cancellation, order, lines: [line], whole }) => [
      cancellation,
      order.invoice,
      line?.quantity,
      whole,
    ]);
    return { shown, unmatched: unmatched.size };
  };

  test("take from the customer's latest earlier order first, and from the one before what it lacks", async () => {
    const { shown } = await returnsOf(["1 85123A 6 1 A", "2 85123A 2 1 A", "C3 85123A -5 1 A"]);
    expect(shown).toEqual([
      ["C3", "2", 2, true],
      ["C3", "1", 3, false],
    ]);
  });

  test("never give back more than is held, however many cancellations ask", async () => {
    const { shown } = await returnsOf(["1 85123A 6 1 A", "C2 85123A -4 1 A", "C3 85123A -4 1 A", "C4 85123A -4 1 A"]);
    expect(shown).toEqual([
      ["C2", "1", 4, false],
      ["C3", "1", 2, true],
    ]);
  });

  test("don't take from another customer, a later order or another product", async () => {
    const { shown } = await returnsOf(["1 85123A 6 1 B", "1 22222 6 1 A", "C2 85123A -4 1 A", "3 85123A 6 1 A"]);
    expect(shown).toEqual([]);
  });

  test("don't take from an order that was not fulfilled", async () => {
    const lines = ["1 85123A 6 1 A", "2 85123A 2 1 A", "C3 85123A -5 1 A"];
    expect(await returnsOf(lines, (invoice) => invoice === "1")).toEqual({
      shown: [["C3", "1", 5, false]],
      unmatched: 0,
    });
    expect(await returnsOf(lines, () => false)).toEqual({ shown: [], unmatched: 1 });
  });

  test("a product cancelled on two lines is one return that answers both", async () => {
    const { orders, cancellations } = await planOfLines("1 85123A 6 1 A", "C2 85123A -2 1 A", "C2 85123A -3 1 A");
    const { returns } = matchReturns(orders, cancellations, all);
    expect(returns).toMatchObject([{ lines: [{ sku: "85123A", quantity: 5 }], fileLines: 2, whole: false }]);
  });
});
