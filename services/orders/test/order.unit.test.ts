import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cancelWished, newsOf, overdue } from "../src/news.ts";
import { type HistoryEntry, hear, nothingPaid, type Order, type OrderStep } from "../src/order.ts";
import {
  type OrderMethod,
  type OrderProgress,
  type OrderWait,
  orderBoundMs,
  orderSagas,
  sagaOf,
} from "../src/order-saga.ts";
import { rebuild } from "../src/rebuild.ts";
import { type Cell, type Table, tables } from "./order-tables.ts";
import { allWords, personId, told, type Word } from "./shop.ts";

const at = "2026-11-21T09:00:00.000Z";
const circumstances = { at, cause: { correlationId: "c", causationId: "e" }, timeouts: {} };

const pointsOf: Readonly<Record<OrderMethod, number>> = { card: 0, wallet: 1530, split: 500 };

const orderAt = (place: string, rest: Partial<Order> = {}, method: OrderMethod = "card"): Order => ({
  orderId: "0000000a-0000-7000-8000-000000000001",
  buyerId: personId(1),
  currency: "GBP",
  totalMinor: 1530,
  lineCount: 1,
  method,
  style: "orchestrated",
  pointsMinor: pointsOf[method],
  correlationId: "c",
  status: place === "completed" ? "CONFIRMED" : "PENDING",
  reason: null,
  progress: orderSagas.orchestrated[method].parse(place),
  progressedAt: at,
  version: 7,
  eventSequence: 5,
  balance: nothingPaid,
  ...endAt(place),
  ...rest,
});

/** How an order that stands there may be ending. */
function endAt(place: string): Partial<Order> {
  if (place === "undone") return { status: "REJECTED", reason: "SOLD_OUT" };
  if (place.startsWith("undone")) return { status: "CANCELLED", reason: "TIMED_OUT" };
  return place.startsWith("backward") ? { reason: "PAYMENT_DECLINED" } : {};
}

/** A step in few words: where the order stands, what was told, its status with the reason. */
function outcomeOf(step: OrderStep | undefined): string {
  if (!step) return "nothing";
  const { order, told: event, call, settled } = step;
  const end = order.reason === null ? order.status : `${order.status} ${order.reason}`;
  const told = event ? event.event.type.replace(/\.v1$/, "") : "-";
  return [sagaOf(order).format(order.progress), told, end, call && `call ${call}`, settled && `settled ${settled}`]
    .filter(Boolean)
    .join(" | ");
}

const waits: readonly OrderWait[] = orderSagas.orchestrated.split.steps.flatMap(({ name }): OrderWait[] => [
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

const noted = (place: string, status: string) => `${place} | - | ${status}`;
/** What only tells of a return, or of a charge that was not known, is written down wherever the order stands. */
const isNoted = (cell: Cell, { balance }: Order): boolean =>
  ["restocked", "refunded", "pointsRefunded"].includes(cell) || (cell === "captured" && balance.paidMinor === 0);

describe.each(Object.entries(tables) as [OrderMethod, Table][])(
  "every cell of an order's table: %s",
  (method, table) => {
    const all = Object.entries(table).flatMap(([place, { order, cells: expected }]) =>
      cells.map((cell) => [place, cell, order, expected[cell]] as const),
    );
    test.each(all)("%s, %s", (place, cell, rest, expected) => {
      const order = orderAt(place, rest, method);
      const outcome = outcomeOf(hear(order, newsFor(order, cell), circumstances));
      const end = order.reason === null ? order.status : `${order.status} ${order.reason}`;
      expect(outcome).toBe(expected ?? (isNoted(cell, order) ? noted(place, end) : "nothing"));
    });

    test("the table has every place that an order can reach", () => {
      const saga = orderSagas.orchestrated[method];
      const reached = new Set<string>();
      const toVisit: OrderProgress[] = [saga.start.progress];
      for (let progress = toVisit.pop(); progress; progress = toVisit.pop()) {
        const place = saga.format(progress);
        if (reached.has(place)) continue;
        reached.add(place);
        for (const cell of cells) {
          const order = orderAt(place, { reason: "TIMED_OUT" }, method);
          const step = hear(order, newsFor(order, cell), circumstances);
          if (step) toVisit.push(step.order.progress);
        }
      }
      expect([...reached].sort()).toEqual(Object.keys(table).sort());
    });
  },
);

describe("a step", () => {
  test("counts history and events apart, and says what set it off", () => {
    const order = orderAt("forward reserve-stock");
    const step = hear(order, newsOf(told("reserved", order.orderId)), circumstances);
    expect(step?.order).toMatchObject({ version: 8, eventSequence: 6, progressedAt: at });
    expect(step?.told).toMatchObject({ sequence: 6, cause: circumstances.cause });
    expect(step?.entry).toEqual({
      ...{ orderId: order.orderId, version: 8, at, what: "stock-reserved", told: "order.payable.v1" },
      ...{ status: "PENDING", reason: null, amountMinor: null, causedBy: "e", placed: null },
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

  test("an order's bound is thirteen minutes, and inventory's holds are told to outlive it", () => {
    expect(orderBoundMs).toBe(13 * 60_000);
  });
});

/** The three services around one order, as they answer; they keep what they hold for it. */
interface Others {
  readonly stock: string;
  readonly money: string;
  readonly points: string;
  /** What the order has heard. */
  readonly heard: readonly Word[];
  /** The order has told this. */
  hear(type: string): void;
  /** One fact more arrives somewhere; where that is the order, it is given. */
  next(pick: number): Word | undefined;
  hasMore(): boolean;
}

/** Led by the order: each hears what it tells in order, acts once, and may answer late, twice or out of step with the others. */
class Led implements Others {
  stock: "none" | "held" | "sold" = "none";
  money: "none" | "authorised" | "captured" | "given-back" = "none";
  points: "none" | "held" | "spent" | "given-back" = "none";
  readonly heard: Word[] = [];
  readonly answers: Word[] = [];
  #knowsOrder = false;
  #chance: () => number;

  constructor(chance: () => number) {
    this.#chance = chance;
  }

  hasMore(): boolean {
    return this.heard.length < this.answers.length;
  }

  next(): Word | undefined {
    const word = this.answers[this.heard.length];
    if (word) this.heard.push(word);
    return word;
  }

  hear(type: string): void {
    this.#inventory(type);
    this.#wallet(type);
    this.#payments(type);
  }

  #wallet(type: string): void {
    if (type === "order.points-payable.v1") {
      this.#knowsOrder = true;
      const held = this.#chance() > 0.2;
      if (held) this.points = "held";
      this.answers.push(held ? "pointsHeld" : "pointsRefused");
    }
    if (type === "order.confirmed.v1" && this.points === "held") this.points = "spent";
    if (type === "order.withdrawn.v1" && this.#knowsOrder) {
      this.points = this.points === "spent" ? "given-back" : "none";
      this.answers.push("pointsReleased");
    }
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

type Source = "orders" | "inventory" | "payments" | "wallet";
const sources: readonly Source[] = ["orders", "inventory", "payments", "wallet"];

/**
 * Led by nobody: each hears the others. What one of them tells arrives everywhere in its order, and in none with what
 * another tells.
 */
class Neighbours implements Others {
  stock: "none" | "held" | "sold" = "none";
  money: "none" | "authorised" | "captured" | "given-back" = "none";
  points: "none" | "held" | "spent" | "given-back" = "none";
  readonly heard: Word[] = [];
  readonly #told: Readonly<Record<Source, string[]>> = { orders: [], inventory: [], payments: [], wallet: [] };
  readonly #read = new Map<string, number>();
  readonly #method: OrderMethod;
  readonly #chance: () => number;
  #hasStock: "unknown" | "here" | "gone" = "unknown";
  #hasPayment: "unknown" | "here" | "refused" | "gone" = "unknown";
  #hasPoints: "unknown" | "here" | "refused" | "gone" = "unknown";

  constructor(chance: () => number, method: OrderMethod) {
    this.#chance = chance;
    this.#method = method;
  }

  hear(type: string): void {
    this.#told.orders.push(type);
  }

  hasMore(): boolean {
    return this.#unread().length > 0;
  }

  next(pick: number): Word | undefined {
    const unread = this.#unread();
    const stream = unread[pick % Math.max(1, unread.length)];
    if (!stream) return undefined;
    const { by, from, at } = stream;
    this.#read.set(`${by} ${from}`, at + 1);
    const fact = this.#told[from][at] ?? "";
    if (by === "orders") {
      this.heard.push(fact as Word);
      return fact as Word;
    }
    this.#told[by].push(...this.#answer(by, fact));
    return undefined;
  }

  #unread() {
    const streams = sources.flatMap((by) => sources.map((from) => ({ by, from })));
    return streams
      .filter(({ by, from }) => by !== from)
      .map((stream) => ({ ...stream, at: this.#read.get(`${stream.by} ${stream.from}`) ?? 0 }))
      .filter(({ from, at }) => at < this.#told[from].length);
  }

  #answer(by: Exclude<Source, "orders">, fact: string): Word[] {
    if (by === "inventory") return this.#inventory(fact);
    return by === "payments" ? this.#payments(fact) : this.#wallet(fact);
  }

  #happens = (): boolean => this.#chance() > 0.2;

  #inventory(fact: string): Word[] {
    switch (fact) {
      case "order.placed.v1":
        this.#hasStock = this.#happens() ? "here" : "gone";
        this.stock = this.#hasStock === "here" ? "held" : "none";
        return [this.stock === "held" ? "reserved" : "rejected"];
      case "pointsHeld":
      case "authorised":
        if (this.stock !== "held" || (fact === "pointsHeld" && this.#method !== "wallet")) return [];
        this.stock = this.#happens() ? "sold" : "none";
        return [this.stock === "sold" ? "confirmed" : "lapsed"];
      case "pointsRefused":
      case "declined":
      case "captureRefused":
      case "order.withdrawn.v1":
      case "order.rejected.v1":
      case "order.cancelled.v1":
        if (this.#hasStock === "gone") return [];
        [this.#hasStock, this.stock] = ["gone", "none"];
        return ["released"];
      default:
        return [];
    }
  }

  #payments(fact: string): Word[] {
    switch (fact) {
      case "reserved":
      case "pointsHeld":
        if (this.#hasPayment !== "unknown" || this.#method !== (fact === "reserved" ? "card" : "split")) return [];
        this.#hasPayment = this.#happens() ? "here" : "refused";
        this.money = this.#hasPayment === "here" ? "authorised" : "none";
        return [this.money === "authorised" ? "authorised" : "declined"];
      case "confirmed":
        if (this.money !== "authorised") return [];
        this.money = this.#happens() ? "captured" : "none";
        return [this.money === "captured" ? "captured" : "captureRefused"];
      case "lapsed":
      case "order.withdrawn.v1":
      case "order.rejected.v1":
      case "order.cancelled.v1":
        if (this.#hasPayment === "gone" || (this.#hasPayment === "unknown" && fact !== "order.withdrawn.v1")) return [];
        this.#hasPayment = "gone";
        this.money = this.money === "captured" ? "given-back" : "none";
        return this.#chance() > 0.5 ? ["reversing", "reversed"] : ["reversed"];
      default:
        return [];
    }
  }

  #wallet(fact: string): Word[] {
    switch (fact) {
      case "reserved":
        if (this.#hasPoints !== "unknown" || this.#method === "card") return [];
        this.#hasPoints = this.#happens() ? "here" : "refused";
        this.points = this.#hasPoints === "here" ? "held" : "none";
        return [this.points === "held" ? "pointsHeld" : "pointsRefused"];
      case "order.confirmed.v1":
        if (this.points === "held") this.points = "spent";
        return [];
      case "lapsed":
      case "declined":
      case "captureRefused":
      case "order.withdrawn.v1":
        if (this.#method === "card" || this.#hasPoints === "gone") return [];
        if (this.#hasPoints === "unknown" && fact !== "order.withdrawn.v1") return [];
        this.#hasPoints = "gone";
        this.points = this.points === "spent" ? "given-back" : "none";
        return ["pointsReleased"];
      default:
        return [];
    }
  }
}

type Move = "answer" | "repeat" | "overdue" | "cancel";
const answerMostly: readonly Move[] = [...Array<Move>(9).fill("answer"), "repeat", "overdue", "cancel"];

describe("whatever comes in whatever order", () => {
  const moves = fc.array(fc.record({ move: fc.constantFrom(...answerMostly), pick: fc.nat({ max: 9 }) }), {
    maxLength: 40,
  });

  const everyWay = (["orchestrated", "choreographed"] as const).flatMap((style) =>
    (["card", "wallet", "split"] as const).map((method) => [style, method] as const),
  );

  test.each(everyWay)(
    "an order that is %s and paid by %s ends, and keeps nothing unless CONFIRMED",
    (style, method) => {
      const ends = new Map<string, number>();
      fc.assert(
        fc.property(moves, fc.infiniteStream(fc.nat({ max: 99 })), (script, stream) => {
          const chance = () => stream.next().value / 100;
          const others = style === "orchestrated" ? new Led(chance) : new Neighbours(chance, method);
          const run = new Run(others, { style, method });
          for (const { move, pick } of script) run.take(move, pick);
          run.settle();
          const { order } = run;
          ends.set(order.status, (ends.get(order.status) ?? 0) + 1);
          expect(["CONFIRMED", "REJECTED", "CANCELLED"]).toContain(order.status);
          const { paidMinor, refundedMinor, paidPointsMinor, refundedPointsMinor } = order.balance;
          if (order.status === "CONFIRMED") {
            const { totalMinor, pointsMinor } = order;
            const [money, points] = [method === "wallet" ? "none" : "captured", method === "card" ? "none" : "spent"];
            expect(others).toMatchObject({ stock: "sold", money, points });
            expect(order.reason).toBeNull();
            expect([paidMinor, paidPointsMinor, refundedMinor, refundedPointsMinor]).toEqual([
              ...[totalMinor - pointsMinor, pointsMinor, 0, 0],
            ]);
          } else {
            expect(others.stock).toBe("none");
            expect(["none", "given-back"]).toContain(others.money);
            expect(["none", "given-back"]).toContain(others.points);
            expect([refundedMinor, refundedPointsMinor]).toEqual([paidMinor, paidPointsMinor]);
            expect(order.progress).toEqual({ phase: "undone", owed: [] });
          }
          expect(rebuild([run.first, ...run.history])).toEqual(order);
          expect(run.versions).toEqual(run.versions.map((_, index) => index + 2));
          expect(run.sequences).toEqual(run.sequences.map((_, index) => index + 2));
        }),
        { numRuns: 1_000 },
      );
      // A run in which one end never came would have proved nothing about it.
      expect([...ends.keys()].sort()).toEqual(["CANCELLED", "CONFIRMED", "REJECTED"]);
    },
  );
});

/** One order and the others around it, one event at a time. */
class Run {
  order: Order;
  readonly first: HistoryEntry;
  readonly history: HistoryEntry[] = [];
  readonly versions: number[] = [];
  readonly sequences: number[] = [];
  readonly #others: Others;

  constructor(others: Others, { style, method }: Pick<Order, "style" | "method">) {
    this.order = orderAt("forward reserve-stock", { version: 1, eventSequence: 1, style }, method);
    const { orderId, status, reason, totalMinor: amountMinor } = this.order;
    const step = { orderId, version: 1, at, what: "placed", told: "order.placed.v1", status, reason, amountMinor };
    this.first = { ...step, causedBy: null, placed: this.order };
    this.#others = others;
    others.hear("order.placed.v1");
  }

  take(move: Move, pick: number): void {
    const { heard } = this.#others;
    switch (move) {
      case "answer":
        this.#hearWord(this.#others.next(pick));
        break;
      // Per key an answer never overtakes an earlier one of its service, but each may come again at any time.
      case "repeat":
        this.#hearWord(heard[pick % Math.max(1, heard.length)]);
        break;
      case "overdue": {
        const pending = sagaOf(this.order).waits(this.order.progress);
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
    while (this.#others.hasMore()) this.#hearWord(this.#others.next(0));
  }

  #hearWord(word: Word | undefined): void {
    if (word) this.#hear(word);
  }

  #hear(cell: Cell): void {
    const { totalMinor, pointsMinor } = this.order;
    const data = cell === "captured" ? { amountMinor: totalMinor - pointsMinor } : {};
    const news = allWords.includes(cell as Word)
      ? newsOf(told(cell as Word, this.order.orderId, data))
      : newsFor(this.order, cell);
    const step = hear(this.order, news, circumstances);
    if (!step) return;
    this.order = step.order;
    this.history.push(step.entry);
    this.versions.push(step.entry.version);
    if (!step.told) return;
    this.sequences.push(step.told.sequence);
    this.#others.hear(step.told.event.type);
  }
}
