import fc from "fast-check";
import { expect, test } from "vitest";
import { Books, type MovementEntry, type Outcome } from "../src/books.ts";

const keyMemoryMs = 1_000;
const keys = fc.constantFrom("a", "b", "c", "d", "e");
const wish = fc.oneof(
  fc.record({
    kind: fc.constant("authorise" as const),
    key: keys,
    amountMinor: fc.constantFrom(100, 200),
    declined: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom("capture" as const, "cancel" as const), key: keys, which: fc.nat({ max: 2 }) }),
  fc.record({
    kind: fc.constant("refund" as const),
    key: keys,
    which: fc.nat({ max: 2 }),
    amountMinor: fc.integer({ min: 1, max: 150 }),
  }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 700 }) }),
);
type Wish = typeof wish extends fc.Arbitrary<infer It> ? It : never;

/** Lets the wishes happen to books, and gives what was journaled and answered. */
function live(wishes: readonly Wish[]) {
  const books = new Books({ keyMemoryMs });
  const entries: MovementEntry[] = [];
  const outcomes: { wish: Wish; at: number; outcome: Outcome }[] = [];
  const ids: string[] = [];
  let now = 0;
  for (const it of wishes) {
    if (it.kind === "wait") {
      now += it.ms;
      continue;
    }
    const outcome =
      it.kind === "authorise"
        ? books.authorise(
            { ...it, reference: "order", card: "card", currency: "GBP" },
            it.declined ? "no" : undefined,
            now,
          )
        : books.follow({ ...it, id: ids[it.which] ?? "pay_none" }, now);
    outcomes.push({ wish: it, at: now, outcome });
    if (outcome.kind === "answered" && outcome.entry) {
      entries.push(outcome.entry);
      if (outcome.entry.opens) ids.push(outcome.entry.id);
    }
  }
  return { books, entries, outcomes };
}

const property = (name: string, check: (wishes: readonly Wish[]) => void) =>
  test(name, () => {
    fc.assert(fc.property(fc.array(wish, { maxLength: 40 }), check), { numRuns: 2_000 });
  });

property("never refunds more than was captured, and captures a payment once", (wishes) => {
  for (const payment of live(wishes).books.all()) {
    const done = payment.movements.filter(({ refused }) => refused === undefined);
    expect(done.filter(({ kind }) => kind === "capture").length).toBeLessThanOrEqual(1);
    expect(payment.refundedMinor).toBeLessThanOrEqual(payment.capturedMinor);
    expect([0, payment.amountMinor]).toContain(payment.capturedMinor);
    if (payment.status === "cancelled" || payment.status === "declined") expect(payment.capturedMinor).toBe(0);
  }
});

property("books that are replayed from the journal are the same", (wishes) => {
  const { books, entries } = live(wishes);
  const again = new Books({ keyMemoryMs });
  for (const entry of entries) again.apply(entry);
  expect([...again.all()]).toEqual([...books.all()]);
  expect(again.byReference("order")).toEqual(books.byReference("order"));
});

property("a remembered key moves money once, and its answer does not change", (wishes) => {
  const { outcomes } = live(wishes);
  const firstUse = new Map<string, { at: number; id: string; number: number }>();
  for (const { wish: it, at, outcome } of outcomes) {
    if (outcome.kind !== "answered" || it.kind === "wait") continue;
    const before = firstUse.get(it.key);
    const { payment, number } = outcome;
    if (before && at - before.at < keyMemoryMs) {
      expect(outcome.entry).toBeUndefined();
      expect({ id: payment.id, number }).toEqual({ id: before.id, number: before.number });
    } else {
      expect(outcome.entry).toBeDefined();
      firstUse.set(it.key, { at, id: payment.id, number });
    }
  }
});

const order = { key: "k", reference: "order", card: "card", amountMinor: 100, currency: "GBP" };

test("a statement begins at its moment and is told in pages", () => {
  const books = new Books({ keyMemoryMs });
  for (let at = 0; at < 100; at++)
    books.authorise(
      { key: `k${at}`, amountMinor: 1, reference: "order", card: "card", currency: "GBP" },
      at % 10 === 9 ? "card_declined" : undefined,
      10 * Math.floor(at / 5),
    );
  const read = (since: number) => {
    const keys: string[] = [];
    for (let after: string | null = "0"; after !== null; ) {
      const { lines, next } = books.statement({ since, after: Number(after), limit: 7 });
      keys.push(...lines.map(({ key }) => key));
      after = next;
    }
    return keys;
  };
  const from = (first: number) =>
    Array.from({ length: 100 - first }, (_, index) => first + index).flatMap((at) => (at % 10 === 9 ? [] : [`k${at}`]));
  for (const since of [0, 1, 10, 95, 190]) expect(read(since)).toEqual(from(5 * Math.ceil(since / 10)));
  expect(read(191)).toEqual([]);
});

test("a key used for another call is refused", () => {
  const books = new Books({ keyMemoryMs });
  const first = books.authorise(order, undefined, 0);
  if (first.kind !== "answered") throw new Error("The payment was not answered.");
  expect(books.authorise({ ...order, amountMinor: 101 }, undefined, 1)).toEqual({ kind: "key-reused" });
  expect(books.follow({ kind: "capture", key: "k", id: first.payment.id }, 1)).toEqual({ kind: "key-reused" });
});

test("a key that is forgotten charges again: both payments are found under it", () => {
  const books = new Books({ keyMemoryMs });
  books.authorise(order, undefined, 0);
  books.authorise(order, undefined, keyMemoryMs - 1);
  expect(books.byKey("k")).toHaveLength(1);
  books.authorise(order, undefined, keyMemoryMs);
  expect(books.byKey("k")).toHaveLength(2);
});
