import fc from "fast-check";
import { expect, test } from "vitest";
import { type MoveKind, type Movement, moves, placeChanges, stockChanges, takeChanges } from "../src/ledger.ts";

const movement = fc.record({
  kind: fc.constantFrom(...(Object.keys(moves) as MoveKind[])),
  sku: fc.constantFrom("a", "b", "c"),
  location: fc.constantFrom("main", "north"),
  units: fc.integer({ min: 1, max: 1_000_000 }),
  limitedBuyer: fc.option(fc.constantFrom("ann", "bob")),
});
const movements = fc.array(movement, { maxLength: 50 }).map((rows) =>
  rows.map(
    (row): Movement => ({
      ...row,
      unit: null,
      orderId: null,
      holdId: null,
      documentId: null,
      cause: { correlationId: "a-test" },
    }),
  ),
);

const sumOf = (rows: readonly number[]) => rows.reduce((sum, row) => sum + row, 0);

test("the changes of the stock are the sum of its moves, one per SKU and in SKU order", () => {
  fc.assert(
    fc.property(movements, (rows) => {
      const changes = stockChanges(rows);
      expect(changes.map(({ sku }) => sku)).toEqual([...new Set(rows.map(({ sku }) => sku))].sort());
      for (const { sku, ...change } of changes) {
        const ofSku = rows.filter((row) => row.sku === sku);
        for (const column of ["received", "held", "sold", "quarantined", "inTransit"] as const) {
          expect(change[column]).toBe(sumOf(ofSku.map(({ kind, units }) => moves[kind][column] * units)));
        }
      }
    }),
  );
});

test("what moves at a SKU's locations is what moves of the SKU", () => {
  fc.assert(
    fc.property(movements, (rows) => {
      const places = placeChanges(rows, new Set(["a", "b"]));
      expect(places.filter(({ sku }) => sku === "c")).toEqual([]);
      for (const change of stockChanges(rows).filter(({ sku }) => sku !== "c")) {
        const there = places.filter(({ sku }) => sku === change.sku);
        expect(new Set(there.map(({ location }) => location)).size).toBe(there.length);
        for (const column of ["received", "held", "sold", "quarantined", "inTransit"] as const)
          expect(sumOf(there.map((place) => place[column]))).toBe(change[column]);
      }
    }),
  );
});

test("what an order takes and gives back leaves nothing with its buyer, whichever way it went", () => {
  const ways: MoveKind[][] = [
    ["HELD", "RELEASED"],
    ["HELD", "EXPIRED"],
    ["HELD", "SOLD", "UNSOLD"],
    ["HELD", "SOLD", "RETURNED"],
  ];
  for (const way of ways) {
    const rows = way.map(
      (kind): Movement => ({
        ...{
          kind,
          sku: "a",
          location: "main",
          units: 3,
          unit: null,
          orderId: "an-order",
          holdId: "a-hold",
          documentId: null,
          limitedBuyer: "ann",
        },
        cause: { correlationId: "a-test" },
      }),
    );
    expect(takeChanges(rows)).toEqual([]);
    expect(stockChanges(rows)).toEqual([{ sku: "a", received: 0, held: 0, sold: 0, quarantined: 0, inTransit: 0 }]);
  }
});

test("only units that count against a limit change what a buyer has", () => {
  fc.assert(
    fc.property(movements, (rows) => {
      const total = sumOf(takeChanges(rows).map(({ units }) => units));
      const limited = rows.filter(({ limitedBuyer }) => limitedBuyer !== null);
      expect(total).toBe(sumOf(limited.map(({ kind, units }) => (moves[kind].held + moves[kind].sold) * units)));
    }),
  );
});
