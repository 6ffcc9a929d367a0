import { later } from "@onsale/contracts/time";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { moves } from "../src/ledger.ts";
import { borneByTheShop, type NewLot, splitAmong } from "../src/lot.ts";
import { graceMs, OpenPurse, type Part } from "../src/purse.ts";

const key = { personId: "0000000b-0000-7000-8000-000000000001", currency: "GBP" };
const now = "2026-11-22T09:00:00.000Z";
const day = 24 * 3_600_000;

const empty = () => new OpenPurse({ ...key, availableMinor: 0, heldMinor: 0, debtMinor: 0, lots: [] });
const lotOf = (lotId: string, expiresAt: string | null): NewLot => ({
  ...{ lotId, expiresAt },
  source: "CREDIT",
  bearers: borneByTheShop,
});
const contents = (purse: OpenPurse) => Object.fromEntries(purse.lots.map((lot) => [lot.lotId, lot.remainingMinor]));
const amounts = (purse: OpenPurse) => [purse.availableMinor, purse.heldMinor, purse.debtMinor];
const back = (parts: readonly Part[], purse: OpenPurse) =>
  parts.map((part) => ({ ...part, expiresAt: purse.lot(part.lotId)?.expiresAt ?? null }));

/** Three lots: one that ends tomorrow, one in a month, one never. */
function filled(): OpenPurse {
  const purse = empty();
  purse.charge("CREDITED", lotOf("never", null), 100, {});
  purse.charge("CREDITED", lotOf("month", later(now, 30 * day)), 100, {});
  purse.charge("CREDITED", lotOf("tomorrow", later(now, day)), 100, {});
  return purse;
}

test("every kind of movement sums to zero over the accounts that it touches", () => {
  for (const [kind, { available, held, debt, voucher, shop }] of Object.entries(moves))
    expect({ kind, sum: available + held - debt + voucher + (shop?.[1] ?? 0) }).toEqual({ kind, sum: 0 });
});

describe("holding", () => {
  test("takes from the lots that end first, and never from nothing", () => {
    const purse = filled();
    expect(purse.hold(150, now, {})).toEqual([
      { lotId: "tomorrow", amountMinor: 100 },
      { lotId: "month", amountMinor: 50 },
    ]);
    expect(purse.hold(151, now, {})).toBeUndefined();
    expect(purse.hold(150, now, {})).toEqual([
      { lotId: "month", amountMinor: 50 },
      { lotId: "never", amountMinor: 100 },
    ]);
    expect(amounts(purse)).toEqual([0, 300, 0]);
  });

  test("what had ended when the order wanted it is not there; what has ended since is", () => {
    expect(filled().hold(201, later(now, 2 * day), {})).toBeUndefined();
    expect(filled().hold(200, later(now, 2 * day), {})).toEqual([
      { lotId: "month", amountMinor: 100 },
      { lotId: "never", amountMinor: 100 },
    ]);
    expect(filled().hold(300, now, {})).toHaveLength(3);
  });
});

describe("putting back", () => {
  test("into the lots that the points came from, with the ends that they had", () => {
    const purse = filled();
    const parts = purse.hold(150, now, {}) ?? [];
    purse.putBack("RELEASED", back(parts, purse), now, {});
    expect(contents(purse)).toEqual({ tomorrow: 100, month: 100, never: 100 });
    expect(purse.lot("tomorrow")?.expiresAt).toBe(later(now, day));
  });

  test("into a lot that has ended since: usable for a week from then", () => {
    const purse = filled();
    const parts = purse.hold(150, now, {}) ?? [];
    purse.spend(150, {});
    const afterwards = later(now, 3 * day);
    purse.putBack("GIVEN_BACK", back(parts, purse), afterwards, {});
    expect(purse.lot("tomorrow")).toMatchObject({ remainingMinor: 100, expiresAt: later(afterwards, graceMs) });
    expect(purse.lot("month")?.expiresAt).toBe(later(now, 30 * day));
  });
});

describe("taking back what was earned", () => {
  const earned = (amountMinor: number, spentMinor: number) => {
    const purse = empty();
    purse.charge("EARNED", lotOf("earned", later(now, 365 * day)), amountMinor, {});
    purse.hold(spentMinor, now, {});
    purse.spend(spentMinor, {});
    return purse;
  };

  test("from its own lot while it lasts, then from the others", () => {
    const purse = earned(100, 0);
    purse.charge("CREDITED", lotOf("tomorrow", later(now, day)), 100, {});
    purse.hold(130, now, {});
    purse.takeBack(60, "earned", {});
    expect(contents(purse)).toEqual({ earned: 10 });
    purse.charge("CREDITED", lotOf("never", null), 100, {});
    purse.takeBack(40, "earned", {});
    expect(contents(purse)).toEqual({ never: 70 });
  });

  test("what was spent already is owed, and what comes in pays it first", () => {
    const purse = earned(100, 80);
    purse.takeBack(100, "earned", {});
    expect(amounts(purse)).toEqual([0, 0, 80]);
    purse.charge("CREDITED", lotOf("a", null), 50, {});
    expect(amounts(purse)).toEqual([0, 0, 30]);
    expect(purse.hold(1, now, {})).toBeUndefined();
    purse.charge("CREDITED", lotOf("b", null), 50, {});
    expect(amounts(purse)).toEqual([20, 0, 0]);
  });
});

test("what goes back to somebody who owes pays what is owed first", () => {
  const purse = empty();
  purse.charge("EARNED", lotOf("earned", later(now, 365 * day)), 100, {});
  const parts = purse.hold(100, now, {}) ?? [];
  purse.takeBack(30, "earned", {});
  purse.putBack("RELEASED", back(parts, purse), now, {});
  expect(amounts(purse)).toEqual([70, 0, 0]);
});

test("points end with their lot, and not before", () => {
  const purse = filled();
  purse.expire(later(now, day));
  expect(amounts(purse)).toEqual([300, 0, 0]);
  purse.expire(later(now, 2 * day));
  expect(contents(purse)).toEqual({ month: 100, never: 100 });
  expect(purse.movements.at(-1)).toMatchObject({ kind: "EXPIRED", amountMinor: 100, documentId: "tomorrow" });
});

describe("whatever happens in whatever order", () => {
  type Step =
    | { readonly kind: "charge"; readonly lot: number; readonly amount: number }
    | { readonly kind: "hold" | "takeBack"; readonly lot: number; readonly amount: number }
    | { readonly kind: "spend" | "release" | "giveBack"; readonly order: number; readonly share: number }
    | { readonly kind: "pass"; readonly days: number };
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({
      kind: fc.constantFrom("charge", "charge", "hold", "hold", "takeBack"),
      lot: fc.nat(4),
      amount: fc.integer({ min: 1, max: 200 }),
    }) as fc.Arbitrary<Step>,
    fc.record({
      kind: fc.constantFrom("spend", "release", "giveBack"),
      order: fc.nat(5),
      share: fc.integer({ min: 1, max: 3 }),
    }) as fc.Arbitrary<Step>,
    fc.record({ kind: fc.constant("pass"), days: fc.integer({ min: 1, max: 40 }) }) as fc.Arbitrary<Step>,
  );

  interface Order {
    parts: Part[];
    state: "held" | "spent";
  }

  /** Plays steps against a purse, as orders do: each gives back only what it took. */
  function play(
    steps: readonly Step[],
    look: (purse: OpenPurse, model: { shop: number; orders: readonly Order[] }) => void,
  ): void {
    const purse = empty();
    const orders: Order[] = [];
    let at = now;
    for (const it of steps) {
      if (it.kind === "charge")
        purse.charge("CREDITED", lotOf(`lot ${it.lot}`, lotEnds[it.lot] ?? null), it.amount, {});
      if (it.kind === "hold") {
        const parts = purse.hold(it.amount, at, {});
        if (parts) orders.push({ parts, state: "held" });
      }
      if (it.kind === "takeBack") purse.takeBack(it.amount, `lot ${it.lot}`, {});
      if (it.kind === "pass") {
        at = later(at, it.days * day);
        purse.expire(at);
      }
      if ("order" in it) stepOrder(purse, orders[it.order], it, at);
      look(purse, { shop: shopOf(purse), orders });
    }
  }
  const lotEnds = [null, ...[10, 20, 30, 60].map((days) => later(now, days * day))];

  function stepOrder(
    purse: OpenPurse,
    order: Order | undefined,
    { kind, share }: Extract<Step, { order: number }>,
    at: string,
  ): void {
    if (order === undefined) return;
    const total = order.parts.reduce((sum, { amountMinor }) => sum + amountMinor, 0);
    if (kind === "spend" && order.state === "held") {
      purse.spend(total, {});
      order.state = "spent";
    }
    if (kind === "release" && order.state === "held") {
      purse.putBack("RELEASED", back(order.parts, purse), at, {});
      order.parts = [];
    }
    if (kind === "giveBack" && order.state === "spent") {
      const given = order.parts.map((part) => ({ ...part, amountMinor: Math.ceil(part.amountMinor / share) }));
      purse.putBack("GIVEN_BACK", back(given, purse), at, {});
      order.parts = order.parts
        .map((part, index) => ({ ...part, amountMinor: part.amountMinor - (given[index]?.amountMinor ?? 0) }))
        .filter(({ amountMinor }) => amountMinor > 0);
    }
  }

  const shopOf = ({ movements }: OpenPurse) =>
    movements.reduce((sum, { kind, amountMinor }) => sum + (moves[kind].shop?.[1] ?? 0) * amountMinor, 0);

  test("nothing is below zero, lots are the balance, holds are the orders', and no point is made or lost", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), (steps) => {
        play(steps, (purse, { shop, orders }) => {
          const [available = 0, held = 0, debt = 0] = amounts(purse);
          expect(
            Math.min(available, held, debt, ...purse.lots.map(({ remainingMinor }) => remainingMinor)),
          ).toBeGreaterThanOrEqual(0);
          expect(debt === 0 || available === 0).toBe(true);
          expect(purse.lots.reduce((sum, { remainingMinor }) => sum + remainingMinor, 0)).toBe(available);
          const heldByOrders = orders.filter(({ state }) => state === "held").flatMap(({ parts }) => parts);
          expect(heldByOrders.reduce((sum, { amountMinor }) => sum + amountMinor, 0)).toBe(held);
          expect(available + held - debt + shop).toBe(0);
        });
      }),
      { numRuns: 100 },
    );
  });
});

test("what is shared is shared to the last minor unit", () => {
  const shares = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 5 }).map((weights) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const basisPoints = weights.map((weight) => Math.floor((10_000 * weight) / total));
    basisPoints[0] = (basisPoints[0] ?? 0) + 10_000 - basisPoints.reduce((sum, it) => sum + it, 0);
    return basisPoints.map((it, index) => ({ bearer: `bearer ${index}`, basisPoints: it }));
  });
  fc.assert(
    fc.property(fc.nat(10 ** 12), shares, (amountMinor, bearers) => {
      const parts = splitAmong(amountMinor, bearers);
      expect(parts.reduce((sum, part) => sum + part.amountMinor, 0)).toBe(amountMinor);
      for (const [index, part] of parts.entries())
        expect(Math.abs(part.amountMinor - (amountMinor * (bearers[index]?.basisPoints ?? 0)) / 10_000)).toBeLessThan(
          1,
        );
    }),
  );
});
