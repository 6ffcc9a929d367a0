import { expect, test } from "vitest";
import { paymentOf } from "../../src/replay/payment.ts";
import type { PlannedOrder, Product } from "../../src/replay/plan.ts";

const products = new Map<string, Product>(
  [1, 255].map((priceMinor) => [
    `P${priceMinor}`,
    { sku: `P${priceMinor}`, name: "A thing", priceMinor, orderedUnits: 9 },
  ]),
);
const order = (more: Partial<PlannedOrder> = {}): PlannedOrder => ({
  invoice: "536365",
  customer: "17850",
  position: 1,
  lines: [{ sku: "P255", quantity: 3 }],
  ...more,
});
const guest: PlannedOrder = { invoice: "536544", position: 2, lines: [{ sku: "P255", quantity: 1 }] };

test("by card it takes no points", () => {
  expect(paymentOf("card", order(), products)).toEqual({ wish: { method: "card" }, neededPointsMinor: 0 });
});

test("a wallet pays all of it, a split the smaller half, and what can't be split is the card's", () => {
  expect(paymentOf("wallet", order(), products)).toEqual({ wish: { method: "wallet" }, neededPointsMinor: 765 });
  expect(paymentOf("split", order(), products)).toEqual({
    wish: { method: "split", pointsMinor: 382 },
    neededPointsMinor: 382,
  });
  const penny = order({ lines: [{ sku: "P1", quantity: 1 }] });
  expect(paymentOf("split", penny, products).wish).toEqual({ method: "card" });
});

test("guests pay by card, whatever is chosen", () => {
  for (const choice of ["wallet", "split", "mixed"] as const)
    expect(paymentOf(choice, guest, products).wish).toEqual({ method: "card" });
});

test("mixed, each way has its share, and an invoice is always paid alike", () => {
  const orders = Array.from({ length: 300 }, (_, number) => order({ invoice: String(536_365 + number) }));
  const drawn = () => orders.map((it) => paymentOf("mixed", it, products).wish.method);
  expect(drawn()).toEqual(drawn());
  const counts = Map.groupBy(drawn(), (method) => method);
  for (const method of ["card", "wallet", "split"] as const) expect(counts.get(method)?.length).toBeGreaterThan(60);
});
