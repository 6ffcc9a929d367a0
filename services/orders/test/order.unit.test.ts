import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cancelWished, newsOf, overdue } from "../src/news.ts";
import { hear, type Order, type OrderStep } from "../src/order.ts";
import { type OrderProgress, type OrderWait, orderBoundMs, orderSaga } from "../src/order-saga.ts";
import { allWords, personId, told, type Word } from "./shop.ts";

const at = "2026-11-21T09:00:00.000Z";
const circumstances = { at, cause: { correlationId: "c", causationId: "e" }, timeouts: {} };

const orderAt = (place: string, rest: Partial<Order> = {}): Order => ({
  orderId: "0000000a-0000-7000-8000-000000000001",
  buyerId: personId(1),
  currency: "GBP",
  totalMinor: 1530,
  lineCount: 1,
  method: "card",
  correlationId: "c",
  status: place === "completed" ? "CONFIRMED" : "PENDING",
  reason: null,
  progress: orderSaga.parse(place),
  progressedAt: at,
  version: 7,
  eventSequence: 5,
  paidMinor: 0,
  refundedMinor: 0,
  ...rest,
});

/** A step in few words: where the order stands, what was told, its status with the reason. */
function outcomeOf(step: OrderStep | undefined): string {
  if (!step) return "nothing";
  const { order, told: event, call, settled } = step;
  const end = order.reason === null ? order.status : `${order.status} ${order.reason}`;
  const told = event ? event.event.type.replace(/\.v1$/, "") : "-";
  return [orderSaga.format(order.progress), told, end, call && `call ${call}`, settled && `settled ${settled}`]
    .filter(Boolean)
    .join(" | ");
}

type Cell = Word | "cancel" | `overdue ${string}`;
const waits: readonly OrderWait[] = orderSaga.steps.flatMap(({ name }): OrderWait[] => [
  name,
  `undo ${name}`,
  `owed ${name}`,
]);
const cells: readonly Cell[] = [...allWords, "cancel", ...waits.map((wait) => `overdue ${wait}` as const)];

function newsFor(order: Order, cell: Cell) {
  if (cell === "cancel") return cancelWished;
  if (cell.startsWith("overdue ")) return overdue(cell.slice("overdue ".length) as OrderWait);
  return newsOf(told(cell as Word, order.orderId));
}

const withdrawn = (reason: string) => `backward authorise-payment | order.withdrawn | PENDING ${reason}`;
const cancelledNow = (reason: string) => `undone owed reserve-stock | order.cancelled | CANCELLED ${reason}`;
const noted = (place: string, status: string) => `${place} | - | ${status}`;

/**
 * What every piece of news makes of an order at every place. A piece of news that is not named changes nothing; the two
 * that only tell of a return are written down wherever the order stands.
 */
const table: Record<string, { readonly order?: Partial<Order>; readonly cells: Partial<Record<Cell, string>> }> = {
  "forward reserve-stock": {
    cells: {
      reserved: "forward authorise-payment | order.payable | PENDING",
      rejected: "undone | order.rejected | REJECTED SOLD_OUT",
      cancel: cancelledNow("CANCELLED_BY_BUYER"),
      "overdue reserve-stock": cancelledNow("TIMED_OUT"),
      captured: noted("forward reserve-stock", "PENDING"),
    },
  },
  "forward authorise-payment": {
    cells: {
      authorised: "forward confirm-stock | order.authorised | PENDING",
      declined: withdrawn("PAYMENT_DECLINED"),
      cancel: withdrawn("CANCELLED_BY_BUYER"),
      "overdue authorise-payment": withdrawn("TIMED_OUT"),
      captured: noted("forward authorise-payment", "PENDING"),
    },
  },
  "forward confirm-stock": {
    cells: {
      confirmed: "forward capture-payment | order.secured | PENDING",
      lapsed: withdrawn("HOLD_EXPIRED"),
      cancel: withdrawn("CANCELLED_BY_BUYER"),
      "overdue confirm-stock": withdrawn("TIMED_OUT"),
      captured: noted("forward confirm-stock", "PENDING"),
    },
  },
  "forward capture-payment": {
    cells: {
      captured: "completed | order.confirmed | CONFIRMED",
      captureRefused: withdrawn("PAYMENT_FAILED"),
      cancel: withdrawn("CANCELLED_BY_BUYER"),
      "overdue capture-payment": withdrawn("TIMED_OUT"),
    },
  },
  completed: {
    order: { paidMinor: 1530 },
    cells: {
      cancel: "backward authorise-payment | order.withdrawn | CONFIRMED CANCELLED_BY_BUYER",
      reversed: noted("completed", "CONFIRMED"),
    },
  },
  "backward authorise-payment": {
    order: { reason: "PAYMENT_DECLINED" },
    cells: {
      reversed: "undone owed reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      reversing: "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      "overdue undo authorise-payment":
        "undone owed authorise-payment,reserve-stock | order.rejected | REJECTED PAYMENT_DECLINED",
      captured: noted("backward authorise-payment", "PENDING PAYMENT_DECLINED"),
    },
  },
  undone: {
    order: { status: "REJECTED", reason: "SOLD_OUT" },
    cells: { captured: noted("undone", "REJECTED SOLD_OUT") },
  },
  "undone owed reserve-stock": {
    order: { status: "CANCELLED", reason: "TIMED_OUT" },
    cells: {
      released: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      rejected: "undone | - | CANCELLED TIMED_OUT | settled reserve-stock",
      "overdue owed reserve-stock": "undone owed reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
      captured: noted("undone owed reserve-stock", "CANCELLED TIMED_OUT"),
    },
  },
  "undone owed authorise-payment,reserve-stock": {
    order: { status: "CANCELLED", reason: "TIMED_OUT", paidMinor: 1530 },
    cells: {
      reversed: "undone owed reserve-stock | - | CANCELLED TIMED_OUT | settled authorise-payment",
      released: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled reserve-stock",
      rejected: "undone owed authorise-payment | - | CANCELLED TIMED_OUT | settled reserve-stock",
      "overdue owed authorise-payment":
        "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | call authorise-payment",
      "overdue owed reserve-stock":
        "undone owed authorise-payment,reserve-stock | - | CANCELLED TIMED_OUT | call reserve-stock",
    },
  },
  "undone owed authorise-payment": {
    order: { status: "CANCELLED", reason: "TIMED_OUT", paidMinor: 1530 },
    cells: {
      reversed: "undone | - | CANCELLED TIMED_OUT | settled authorise-payment",
      "overdue owed authorise-payment":
        "undone owed authorise-payment | - | CANCELLED TIMED_OUT | call authorise-payment",
    },
  },
};

describe("every cell of an order's table", () => {
  const all = Object.entries(table).flatMap(([place, { order, cells: expected }]) =>
    cells.map((cell) => [place, cell, order, expected[cell]] as const),
  );
  test.each(all)("%s, %s", (place, cell, rest, expected) => {
    const order = orderAt(place, rest);
    const outcome = outcomeOf(hear(order, newsFor(order, cell), circumstances));
    const alwaysNoted = cell === "restocked" || cell === "refunded";
    const end = order.reason === null ? order.status : `${order.status} ${order.reason}`;
    expect(outcome).toBe(expected ?? (alwaysNoted ? noted(place, end) : "nothing"));
  });

  test("the table has every place that an order can reach", () => {
    const reached = new Set<string>();
    const toVisit: OrderProgress[] = [orderSaga.start.progress];
    for (let progress = toVisit.pop(); progress; progress = toVisit.pop()) {
      const place = orderSaga.format(progress);
      if (reached.has(place)) continue;
      reached.add(place);
      for (const cell of cells) {
        const order = orderAt(place, { reason: "TIMED_OUT" });
        const step = hear(order, newsFor(order, cell), circumstances);
        if (step) toVisit.push(step.order.progress);
      }
    }
    expect([...reached].sort()).toEqual(Object.keys(table).sort());
  });
});

describe("a step", () => {
  test("counts history and events apart, and says what set it off", () => {
    const order = orderAt("forward reserve-stock");
    const step = hear(order, newsOf(told("reserved", order.orderId)), circumstances);
    expect(step?.order).toMatchObject({ version: 8, eventSequence: 6, progressedAt: at });
    expect(step?.told).toMatchObject({ sequence: 6, cause: circumstances.cause });
    expect(step?.entry).toEqual({
      ...{ orderId: order.orderId, version: 8, at, what: "stock-reserved", told: "order.payable.v1" },
      ...{ status: "PENDING", reason: null, amountMinor: null, causedBy: "e" },
    });
    const untold = hear(
      orderAt("undone owed reserve-stock", { reason: "TIMED_OUT" }),
      newsOf(told("released", order.orderId)),
      circumstances,
    );
    expect(untold?.order).toMatchObject({ version: 8, eventSequence: 5 });
    expect(untold?.entry.told).toBeNull();
  });

  test("waits for the reversal, then calls a person for what stays owed", () => {
    const order = orderAt("forward confirm-stock");
    expect(hear(order, cancelWished, circumstances)?.arm).toEqual([
      { key: order.orderId, wait: "undo authorise-payment", awaits: "payments", dueAt: "2026-11-21T09:02:00.000Z" },
    ]);
    const backward = orderAt("backward authorise-payment", { reason: "TIMED_OUT" });
    expect(hear(backward, newsOf(told("reversing", order.orderId)), circumstances)?.arm).toEqual([
      { key: order.orderId, wait: "owed authorise-payment", awaits: "payments", dueAt: "2026-11-22T09:00:00.000Z" },
      { key: order.orderId, wait: "owed reserve-stock", awaits: "inventory", dueAt: "2026-11-21T09:10:00.000Z" },
    ]);
  });

  test("an order's bound is eleven minutes, and inventory's holds are told to outlive it", () => {
    expect(orderBoundMs).toBe(11 * 60_000);
  });
});

/**
 * The other two services as they answer: each hears what the order tells in order, acts once, and may answer late, twice
 * or out of step with the other. They keep what they hold for the order.
 */
class Others {
  stock: "none" | "held" | "sold" = "none";
  money: "none" | "authorised" | "captured" | "given-back" = "none";
  readonly answers: Word[] = [];
  #chance: () => number;

  constructor(chance: () => number) {
    this.#chance = chance;
  }

  hear(type: string): void {
    this.#inventory(type);
    this.#payments(type);
  }

  #inventory(type: string): void {
    if (type === "order.placed.v1") {
      const held = this.#chance() > 0.2;
      if (held) this.stock = "held";
      this.answers.push(held ? "reserved" : "rejected");
    }
    if (type === "order.authorised.v1") {
      const sold = this.stock === "held" && this.#chance() > 0.2;
      this.stock = sold ? "sold" : "none";
      this.answers.push(sold ? "confirmed" : "lapsed");
    }
    if (type === "order.rejected.v1" || type === "order.cancelled.v1") {
      this.stock = "none";
      this.answers.push("released");
    }
  }

  #payments(type: string): void {
    if (type === "order.payable.v1") {
      const authorised = this.#chance() > 0.2;
      if (authorised) this.money = "authorised";
      this.answers.push(authorised ? "authorised" : "declined");
    }
    if (type === "order.secured.v1" && this.money === "authorised") {
      const captured = this.#chance() > 0.2;
      this.money = captured ? "captured" : "none";
      this.answers.push(captured ? "captured" : "captureRefused");
    }
    if (type === "order.withdrawn.v1") {
      this.money = this.money === "captured" ? "given-back" : "none";
      if (this.#chance() > 0.5) this.answers.push("reversing");
      this.answers.push("reversed");
    }
  }
}

type Move = "answer" | "repeat" | "overdue" | "cancel";
const answerMostly: readonly Move[] = [...Array<Move>(9).fill("answer"), "repeat", "overdue", "cancel"];

describe("whatever comes in whatever order", () => {
  const moves = fc.array(fc.record({ move: fc.constantFrom(...answerMostly), pick: fc.nat({ max: 9 }) }), {
    maxLength: 40,
  });

  test("an order ends, and what did not end CONFIRMED has neither stock nor money", () => {
    const ends = new Map<string, number>();
    fc.assert(
      fc.property(moves, fc.infiniteStream(fc.nat({ max: 99 })), (script, stream) => {
        const others = new Others(() => stream.next().value / 100);
        const run = new Run(others);
        for (const { move, pick } of script) run.take(move, pick);
        run.settle();
        const { order } = run;
        ends.set(order.status, (ends.get(order.status) ?? 0) + 1);
        expect(["CONFIRMED", "REJECTED", "CANCELLED"]).toContain(order.status);
        if (order.status === "CONFIRMED") {
          expect(others).toMatchObject({ stock: "sold", money: "captured" });
          expect(order).toMatchObject({ paidMinor: order.totalMinor, refundedMinor: 0, reason: null });
        } else {
          expect(others.stock).toBe("none");
          expect(["none", "given-back"]).toContain(others.money);
          expect(order.refundedMinor).toBe(order.paidMinor);
          expect(order.progress).toEqual({ phase: "undone", owed: [] });
        }
        expect(run.versions).toEqual(run.versions.map((_, index) => index + 2));
        expect(run.sequences).toEqual(run.sequences.map((_, index) => index + 2));
      }),
      { numRuns: 2_000 },
    );
    // A run in which one end never came would have proved nothing about it.
    expect([...ends.keys()].sort()).toEqual(["CANCELLED", "CONFIRMED", "REJECTED"]);
  });
});

/** One order and the others around it, one event at a time. */
class Run {
  order = orderAt("forward reserve-stock", { version: 1, eventSequence: 1 });
  readonly versions: number[] = [];
  readonly sequences: number[] = [];
  readonly #others: Others;
  #answered = 0;

  constructor(others: Others) {
    this.#others = others;
    others.hear("order.placed.v1");
  }

  take(move: Move, pick: number): void {
    const { answers } = this.#others;
    switch (move) {
      case "answer":
        if (this.#answered < answers.length) this.#hearWord(answers[this.#answered++]);
        break;
      // Per key an answer never overtakes an earlier one of its service, but each may come again at any time.
      case "repeat":
        this.#hearWord(answers[pick % Math.max(1, this.#answered)]);
        break;
      case "overdue": {
        const pending = orderSaga.waits(this.order.progress);
        const wait = pending[pick % Math.max(1, pending.length)]?.wait;
        if (wait) this.#hear(`overdue ${wait}`);
        break;
      }
      case "cancel":
        this.#hear("cancel");
        break;
    }
  }

  /** Everything that is still under way arrives. */
  settle(): void {
    while (this.#answered < this.#others.answers.length) this.#hearWord(this.#others.answers[this.#answered++]);
  }

  #hearWord(word: Word | undefined): void {
    if (word) this.#hear(word);
  }

  #hear(cell: Cell): void {
    const data = cell === "captured" ? { amountMinor: this.order.totalMinor } : {};
    const news = allWords.includes(cell as Word)
      ? newsOf(told(cell as Word, this.order.orderId, data))
      : newsFor(this.order, cell);
    const step = hear(this.order, news, circumstances);
    if (!step) return;
    this.order = step.order;
    this.versions.push(step.entry.version);
    if (!step.told) return;
    this.sequences.push(step.told.sequence);
    this.#others.hear(step.told.event.type);
  }
}
