/**
 * Every step of every saga, failed in every way. The orders are real: their tables, their outbox, their consumers and
 * deadlines. The other three are played (`participants.ts`), because what they do with a fault of their own is shown by
 * their own tests; here counts what the saga makes of it. What is compared lies in `saga-matrix.md`.
 */

import { randomUUID } from "node:crypto";
import { idempotently } from "@onsale/http";
import { bigint, type Database, databaseNow, json, sql, text } from "@onsale/postgres";
import { openTasksOfKey } from "@onsale/saga";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cancelOrder } from "../src/cancel-order.ts";
import { endOverdueOrders } from "../src/end-overdue-orders.ts";
import { inspectReturn } from "../src/inspect-return.ts";
import { lapseReturns } from "../src/lapse-returns.ts";
import { type OrderMethod, type OrderStepName, orderSagas } from "../src/order-saga.ts";
import { placeOrders } from "../src/place-orders.ts";
import { rebuild } from "../src/rebuild.ts";
import { returnLines } from "../src/return-lines.ts";
import { lockOrders } from "../src/store/order.ts";
import { readHistory } from "../src/store/order-history.ts";
import { returnsOfOrder } from "../src/store/order-return.ts";
import { type Answer, audience, Books, type Participant, participants, type Told } from "./participants.ts";
import {
  content,
  deliverTo,
  faultsIn,
  heard,
  impatient,
  inspectFirst,
  personId,
  ports,
  sell,
  told,
  type Word,
  wish,
  withBoth,
  withPoints,
} from "./shop.ts";

const faults = [
  "failed once",
  "failed for ever",
  "delayed past its deadline",
  "delivered twice",
  "delivered in the wrong order",
  "killed before its commit",
  "killed after its commit",
] as const;
type Fault = (typeof faults)[number];

/** Who answers a step, and with which word. */
const answers = {
  "reserve-stock": ["inventory", "reserved"],
  "hold-points": ["wallet", "pointsHeld"],
  "authorise-payment": ["payments", "authorised"],
  "confirm-stock": ["inventory", "confirmed"],
  "capture-payment": ["payments", "captured"],
} as const satisfies Record<OrderStepName, readonly [Participant, Word]>;

const undos: Partial<Record<OrderStepName, readonly [Participant, Word]>> = {
  "reserve-stock": ["inventory", "released"],
  "hold-points": ["wallet", "pointsReleased"],
  "authorise-payment": ["payments", "reversed"],
};

interface Cell {
  readonly saga: string;
  readonly method: OrderMethod;
  readonly step: string;
  readonly from: Participant;
  readonly word: Word;
  readonly fault: Fault;
}

const methods = Object.keys(orderSagas.orchestrated) as OrderMethod[];
const returnSteps = {
  card: { restock: ["inventory", "restocked"], refund: ["payments", "refunded"] },
  wallet: { restock: ["inventory", "restocked"], "refund points": ["wallet", "pointsRefunded"] },
  split: {
    restock: ["inventory", "restocked"],
    refund: ["payments", "refunded"],
    "refund points": ["wallet", "pointsRefunded"],
  },
} as const satisfies Record<OrderMethod, Record<string, readonly [Participant, Word]>>;

/** From the sagas themselves, so that a step that is added can't be forgotten here. */
const cells: readonly Cell[] = methods.flatMap((method) => {
  const { steps } = orderSagas.orchestrated[method];
  const of = (saga: string, step: string, [from, word]: readonly [Participant, Word]) =>
    faults.map((fault): Cell => ({ saga: `${saga}, ${method}`, method, step, from, word, fault }));
  const undone = steps.filter(({ undo }) => undo);
  return [
    ...steps.flatMap(({ name }) => of("place", name, answers[name])),
    ...undone.flatMap(({ name }) => of("cancel", `undo ${name}`, undos[name] ?? fail(`Who undoes ${name}?`))),
    ...Object.entries(returnSteps[method]).flatMap(([step, by]) => of("return", step, by)),
  ];
});

function fail(why: string): never {
  throw new Error(why);
}

let own: TestDatabase;
let shop: Database;
beforeAll(async () => {
  own = await testDatabase(content);
  shop = own.open("orders");
  await sell(shop);
});
afterAll(async () => {
  expect(await faultsIn(shop)).toEqual([]);
  await own.close();
});

const cause = { correlationId: "a-click", causationId: "the-click" };
const payment = { card: {}, wallet: withPoints, split: withBoth(200) } as const satisfies Record<OrderMethod, object>;
let number = 0;

/** One order and the three around it. */
class Life {
  readonly books = new Books();
  readonly orderId: string;
  readonly buyerId: string;
  /** Who does nothing at the moment. */
  blocked: Participant | undefined;
  /** The answer that meets the fault, and the fault. */
  target: { readonly word: Word; readonly fault: Fault } | undefined;
  /** Whether the fault was met: one that was not proves nothing. */
  met = false;
  readonly #heardUpTo = new Map<Participant, number>();
  readonly #given: Answer[] = [];
  readonly #sequences = new Map<Participant, number>();

  constructor(orderId: string, buyerId: string) {
    this.orderId = orderId;
    this.buyerId = buyerId;
  }

  /** Everybody hears and answers until nobody has anything left to say. */
  async settle(): Promise<void> {
    for (let rounds = 0; rounds < 50; rounds++) if (!(await this.settleOnce())) return;
    fail("It never ends.");
  }

  /** Everybody hears what was told up to now, and the order hears what they say. False where nobody says anything. */
  async settleOnce(): Promise<boolean> {
    const events = await toldOf(this.orderId);
    const backwards = this.target?.fault === "delivered in the wrong order";
    const said = (backwards ? participants.toReversed() : participants).flatMap((by) => this.#hear(by, events));
    for (const answer of said) await this.#give(answer);
    return said.length > 0;
  }

  #hear(by: Participant, events: readonly Told[]): Answer[] {
    const mine = events.filter(
      ({ type, sequence }) =>
        audience[type.replace(/\.v1$/, "")]?.includes(by) && sequence > (this.#heardUpTo.get(by) ?? 0),
    );
    if (mine.length > 0 && this.blocked === by) {
      this.met = true;
      return [];
    }
    for (const { sequence } of mine) this.#heardUpTo.set(by, sequence);
    return mine.flatMap((event) => this.books.hear(by, event));
  }

  /** Gives the order an answer, in the way in which the fault has it. */
  async #give(answer: Answer): Promise<void> {
    const isTarget = this.target?.word === answer.word;
    if (isTarget) this.met = true;
    const event = this.#eventOf(answer);
    switch (isTarget ? this.target?.fault : undefined) {
      case "failed once":
        await deliverThrough(failing("at once"), event);
        break;
      case "killed before its commit":
        await deliverThrough(failing("before commit"), event);
        break;
      case "killed after its commit":
        await deliverThrough(failing("after commit"), event);
        break;
      case "delivered twice":
        await deliverTo(shop, "advance", [event], impatient);
        await deliverTo(shop, "advance", [this.#eventOf(answer)], impatient);
        break;
      case "delivered in the wrong order":
        await this.#everythingAgain();
        break;
      default:
    }
    await deliverTo(
      shop,
      "advance",
      [event.sequence < this.#last(answer.from) ? this.#eventOf(answer) : event],
      impatient,
    );
    if (isTarget && this.target?.fault === "delivered in the wrong order") await this.#everythingAgain();
    this.#given.push(answer);
  }

  /** What was answered before comes again, the last first, as news that no inbox knows. */
  async #everythingAgain(): Promise<void> {
    for (const answer of this.#given.toReversed()) await deliverTo(shop, "advance", [this.#eventOf(answer)], impatient);
  }

  #last(source: Participant): number {
    return this.#sequences.get(source) ?? 0;
  }

  #eventOf({ from, word, data }: Answer) {
    const sequence = this.#last(from) + 1;
    this.#sequences.set(from, sequence);
    return { ...told(word, this.orderId, data), id: randomUUID(), sequence };
  }
}

/** A database on which one transaction breaks off. */
function failing(when: "at once" | "before commit" | "after commit"): Database {
  const transaction: Database["transaction"] = async (work, options) => {
    if (when === "at once") throw new Error("broken off");
    const result = await shop.transaction(async (tx) => {
      const done = await work(tx);
      if (when === "before commit") throw new Error("broken off");
      return done;
    }, options);
    if (when === "after commit") throw new Error("broken off");
    return result;
  };
  return { ...shop, transaction };
}

const deliverThrough = (database: Database, event: ReturnType<typeof told>) =>
  expect(deliverTo(database, "advance", [event], impatient)).rejects.toThrow("broken off");

const toldSql = sql("test.told-of-order", {
  takes: [text],
  gives: { type: text, sequence: bigint, data: json<Record<string, unknown>>() },
})`
  select type, sequence, payload as data from orders.outbox_online where aggregateid = $1 order by position`;

const toldOf = (orderId: string) => shop.query(toldSql, [orderId]);

const orderIn = async (orderId: string) =>
  (await shop.transaction((tx) => lockOrders(tx, [orderId]))).get(orderId) ?? fail("There is no such order.");

/** Every wait that there is runs out, as long as the order has not come to an end by it. */
async function passTime(until: (progress: string, tasks: number) => boolean, orderId: string): Promise<void> {
  for (let run = 0; run < 10; run++) {
    for (const source of participants) await heard(shop, source, await databaseNow(shop));
    await endOverdueOrders(shop, ports(impatient), new AbortController().signal);
    const { progress } = await orderIn(orderId);
    if (until(progress.phase, (await openTasksOfKey(shop, orderId)).length)) return;
  }
}

async function placed(method: OrderMethod): Promise<Life> {
  const buyer = ++number;
  const wanted = wish(buyer, { ...payment[method], lines: [{ sku: "mug", quantity: 3 }] });
  const [outcome] = await shop.transaction((tx) => placeOrders(tx, [wanted], ports(impatient)));
  return new Life(outcome?.kind === "accepted" ? outcome.answer.orderId : fail("Not accepted."), personId(buyer));
}

async function run(cell: Cell): Promise<string> {
  const life = await placed(cell.method);
  const { orderId, buyerId } = life;
  const [saga] = cell.saga.split(",");
  if (saga !== "place") await life.settle();
  if (saga === "cancel") await cancelOrder(shop, { orderId, buyerId, cause }, ports(impatient));
  if (saga === "return") await sendOneBack(life);

  const isLate = cell.fault === "failed for ever" || cell.fault === "delayed past its deadline";
  if (!isLate) life.target = { word: cell.word, fault: cell.fault };
  // The one who is to answer does nothing from the asking of that very step on.
  const meanwhile = isLate ? await beLate(life, cell) : "";
  await life.settle();
  expect(life.met, "the fault was never met").toBe(true);
  return `${meanwhile}${await ending(life)}`;
}

async function beLate(life: Life, { from, step, fault, saga }: Cell): Promise<string> {
  await reach(life, from, step, saga.startsWith("place"));
  await life.settle();
  const { phase: before } = (await orderIn(life.orderId)).progress;
  const forEver = fault === "failed for ever";
  await passTime((phase, tasks) => (forEver ? tasks > 0 && phase !== "backward" : phase !== before), life.orderId);
  await life.settle();
  if (forEver) await passTime((phase, tasks) => tasks > 0 && phase !== "backward", life.orderId);
  const { status } = await orderIn(life.orderId);
  const tasks = await openTasksOfKey(shop, life.orderId);
  life.blocked = undefined;
  const called =
    tasks.length > 0 ? `, called for ${tasks.map(({ kind }) => kind.replace("order.owed.", "")).sort()}` : "";
  return forEver ? `${status}${called}; then ` : "";
}

/** Goes on until the step is asked, and holds its answerer there. */
async function reach(life: Life, from: Participant, step: string, isPlacing: boolean): Promise<void> {
  const asked = async () => {
    const { progress } = await orderIn(life.orderId);
    return progress.phase === "forward" && progress.step === step;
  };
  // Undos and returns are asked already; a step is asked when the ones before it are answered.
  for (let turn = 0; isPlacing && !(await asked()); turn++) {
    if (turn > 10) fail(`${step} is never asked.`);
    await life.settleOnce();
  }
  life.blocked = from;
}

const sendOneBack = ({ orderId, buyerId }: Life) =>
  shop.transaction((tx) =>
    returnLines(tx, { orderId, buyerId, lines: [{ sku: "mug", quantity: 1 }], kind: "RETURN", cause }, ports()),
  );

const waitsSql = sql("test.waits-of-order", { takes: [text], gives: { wait: text } })`
  select wait from orders.saga_deadline where key = $1 and wait <> 'look'`;

/** How the order ended, read from the stores, once everything has been said; and that the books agree with it. */
async function ending({ orderId, books }: Life): Promise<string> {
  // What is still set to fire has nothing left to do.
  await passTime(() => true, orderId);
  const order = await orderIn(orderId);
  const { status, reason, balance, totalMinor, pointsMinor } = order;
  expect(["CONFIRMED", "REJECTED", "CANCELLED"]).toContain(status);
  expect(order.progress.owed).toEqual([]);
  expect(await shop.query(waitsSql, [orderId])).toEqual([]);
  expect(await openTasksOfKey(shop, orderId)).toEqual([]);
  expect(rebuild(await readHistory(shop, [{ orderId, after: 0 }], 1_000))).toEqual(order);

  const kept = status === "CONFIRMED";
  expect(books).toMatchObject({ asideMinor: 0, pointsHeldMinor: 0, stock: kept ? "sold" : "none" });
  expect(books.capturedMinor).toBe(balance.paidMinor);
  expect(books.pointsSpentMinor).toBe(balance.paidPointsMinor);
  expect(balance.refundedMinor).toBe(kept ? books.refundedMinor : books.capturedMinor);
  expect(balance.refundedPointsMinor).toBe(kept ? books.pointsRefundedMinor : books.pointsSpentMinor);
  expect([books.refundedMinor, books.pointsRefundedMinor]).toEqual([
    balance.refundedMinor,
    balance.refundedPointsMinor,
  ]);
  if (kept) expect([books.capturedMinor, books.pointsSpentMinor]).toEqual([totalMinor - pointsMinor, pointsMinor]);
  const back = books.refundedMinor + books.pointsRefundedMinor;
  const took = books.capturedMinor + books.pointsSpentMinor;
  const moved = `${took} taken, ${back} given back`;
  return `${reason === null ? status : `${status} ${reason}`}, ${moved}`;
}

test("every step of every saga, failed in every way, has a final end, and the books agree", {
  timeout: 300_000,
}, async () => {
  const ends = new Map<string, string>();
  for (const cell of cells) {
    const name = `${cell.saga} | ${cell.step} | ${cell.fault}`;
    ends.set(name, await run(cell).catch((error) => fail(`${name}: ${error.message}`)));
  }
  expect(ends.size).toBe(cells.length);
  const rows = [...ends].map(([name, end]) => `| ${name} | ${end} |`);
  const head = [
    "# Every step of every saga, failed in every way",
    "",
    "| saga | step | fault | end |",
    "|---|---|---|---|",
  ];
  await expect([...head, ...rows, ""].join("\n")).toMatchFileSnapshot("./saga-matrix.md");
});

/** A return that somebody looks at has two steps that nobody answers: it is asked for, and looked at. */
type Request = "ask" | "look";
interface RequestCell {
  readonly method: OrderMethod;
  readonly step: Request;
  readonly fault: Fault;
}
const requestCells: readonly RequestCell[] = methods.flatMap((method) =>
  (["ask", "look"] as const).flatMap((step) => faults.map((fault): RequestCell => ({ method, step, fault }))),
);

/** A life whose buyer sends two of three pieces back; one of them is taken, the other is not. */
class Sending {
  readonly life: Life;
  readonly lapseMs: number;
  returnId = "";
  #requests = 0;

  constructor(life: Life, lapseMs: number) {
    this.life = life;
    this.lapseMs = lapseMs;
  }

  async ask(database = shop, key = `ask-${this.life.orderId}`): Promise<string> {
    const { orderId, buyerId } = this.life;
    const wanted = { orderId, buyerId, lines: [{ sku: "mug", quantity: 2 }], kind: "RETURN" } as const;
    const claim = { personId: buyerId, key, fingerprint: "two mugs" };
    const { body } = await idempotently(database, claim, async (tx) => ({
      status: 202,
      body: await returnLines(tx, { ...wanted, cause: this.#cause() }, { ...ports(), returnLapseMs: this.lapseMs }),
    }));
    if (body.kind === "requested") this.returnId = body.returnId;
    return body.kind;
  }

  async look(database = shop): Promise<string> {
    const findings = [
      { sku: "mug", quantity: 1, verdict: "WRITTEN_OFF", reason: null },
      { sku: "mug", quantity: 1, verdict: "REFUSED", reason: "USED" },
    ] as const;
    const report = { returnId: this.returnId, findings, note: null, inspectedBy: personId(99), cause: this.#cause() };
    return (await database.transaction((tx) => inspectReturn(tx, report, ports()))).kind;
  }

  lapse = () => lapseReturns(shop, ports(), new AbortController().signal);
  cancel = () =>
    cancelOrder(
      shop,
      { orderId: this.life.orderId, buyerId: this.life.buyerId, cause: this.#cause() },
      ports(impatient),
    );

  #cause = () => ({ correlationId: "a-click", causationId: `${this.life.orderId}-${++this.#requests}` });
}

const breaks = {
  "failed once": "at once",
  "killed before its commit": "before commit",
  "killed after its commit": "after commit",
} as const;

/** What was answered, one after the other. */
async function send(sending: Sending, { step, fault }: RequestCell): Promise<string[]> {
  const request = (database?: Database) => (step === "ask" ? sending.ask(database) : sending.look(database));
  const before = step === "ask" ? [] : [await sending.ask()];
  const after = async () => (step === "ask" ? [await sending.look()] : []);
  switch (fault) {
    case "failed once":
    case "killed before its commit":
    case "killed after its commit":
      await expect(request(failing(breaks[fault]))).rejects.toThrow("broken off");
      return [...before, await request(), ...(await after())];
    case "delivered twice":
      return [...before, await request(), await request(), ...(await after())];
    case "failed for ever":
      for (let tries = 0; tries < 3; tries++)
        await expect(request(failing("before commit"))).rejects.toThrow("broken off");
      await sending.lapse();
      return before;
    case "delayed past its deadline": {
      const early = step === "ask" ? [await sending.ask()] : [];
      await sending.lapse();
      const late = step === "ask" ? await sending.ask(shop, `late-${sending.life.orderId}`) : await sending.look();
      return [...before, ...early, late, ...(await after())];
    }
    case "delivered in the wrong order":
      await sending.cancel();
      return [...before, await request()];
    default:
      return fault satisfies never;
  }
}

async function runRequest(cell: RequestCell): Promise<string> {
  const life = await placed(cell.method);
  await life.settle();
  const late = cell.fault === "failed for ever" || cell.fault === "delayed past its deadline";
  const sending = new Sending(life, late ? 0 : 60_000);
  const answers = await send(sending, cell);
  await life.settle();
  const states = (await returnsOfOrder(shop, life.orderId)).map(({ state, reason }) =>
    reason ? `${state} ${reason}` : state,
  );
  expect(life.books.restockedUnits).toBe(states.filter((state) => state === "ACCEPTED").length);
  return `${answers.join(", ") || "nothing"} | ${states.join(", ") || "none"} | ${await ending(life)}`;
}

test("a return that somebody looks at, failed in every way, has a final end, and the books agree", {
  timeout: 120_000,
}, async () => {
  await inspectFirst(shop);
  const rows: string[] = [];
  for (const cell of requestCells) {
    const name = `${cell.method} | ${cell.step} | ${cell.fault}`;
    rows.push(`| ${name} | ${await runRequest(cell).catch((error) => fail(`${name}: ${error.message}`))} |`);
  }
  await inspectFirst(shop, false);
  const head = [
    "# A return that somebody looks at, failed in every way",
    "",
    "Two of three pieces are sent back; one of them is taken, the other is not.",
    "",
    "| paid by | step | fault | answers | returns | end |",
    "|---|---|---|---|---|---|",
  ];
  await expect([...head, ...rows, ""].join("\n")).toMatchFileSnapshot("./return-matrix.md");
});
