/** What the tests of this service share: a shop's orders, a provider in memory whose answers can be lost, and the books. */

import type { OrderId, ReturnId } from "@onsale/contracts/ids";
import { orderPayable, orderReturned, orderSecured, orderWithdrawn } from "@onsale/contracts/orders";
import type { Delivered } from "@onsale/messaging";
import { as, bigint, type Database, nullable, type Queryable, sql, text, uuid } from "@onsale/postgres";
import { type ServiceContext, silentLogger, startTelemetry } from "@onsale/runtime";
import { deliver, eventOf, readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { askAgain } from "../src/ask-again.ts";
import { consumers } from "../src/consumers.ts";
import { defaultAnomalyRule, type PaymentsPorts } from "../src/ports.ts";
import type { CardProvider, Unknown } from "../src/provider.ts";
import { payments } from "../src/service.ts";
import { ModelProvider } from "./model-provider.ts";

startTelemetry(silentLogger());

export const content = { services: [payments] };
export const openTill = (): Promise<TestDatabase> => testDatabase(content);

export const orderId = (number: number): OrderId => `0192f0c1-0000-7000-8000-${number.toString().padStart(12, "0")}`;
export const returnId = (number: number): ReturnId => `0192f0c1-0000-7000-9000-${number.toString().padStart(12, "0")}`;

export const payable = (number: number, amountMinor = 1000) =>
  eventOf(orderPayable, { orderId: orderId(number), amountMinor }, { sequence: 2 });
export const secured = (number: number) => eventOf(orderSecured, { orderId: orderId(number) }, { sequence: 4 });
export const withdrawn = (number: number) => eventOf(orderWithdrawn, { orderId: orderId(number) }, { sequence: 9 });
export const returned = (number: number, refundMinor: number, which = 1) =>
  eventOf(
    orderReturned,
    { orderId: orderId(number), returnId: returnId(10 * number + which), refundMinor },
    { sequence: 5 + which },
  );

type Verb = "authorise" | "capture" | "cancel" | "refund" | "query";
const unknown: Unknown = { kind: "unknown", why: "The test lost it." };

/** The model, behind a network that loses what it is told to lose. */
export class LossyProvider implements CardProvider {
  readonly model: ModelProvider;
  readonly keyMemoryMs: number;
  /** Every call in order, by verb and key. */
  readonly calls: string[] = [];
  /** A dead one answers nothing. */
  isAlive = true;
  /** Behind an open circuit nothing leaves for it. */
  isCircuitOpen = false;
  #losses: { verb: Verb; what: "call" | "answer" }[] = [];

  constructor({ declines = false, keyMemoryMs = 86_400_000, model = new ModelProvider({ declines }) } = {}) {
    this.model = model;
    this.keyMemoryMs = keyMemoryMs;
  }

  /** The next call of this verb never arrives, or it does and its answer is lost. */
  lose(verb: Verb, what: "call" | "answer", times = 1): void {
    for (let time = 0; time < times; time++) this.#losses.push({ verb, what });
  }

  authorise = (request: Parameters<CardProvider["authorise"]>[0]) =>
    this.#over("authorise", request.key, () => this.model.authorise(request));
  capture = (request: Parameters<CardProvider["capture"]>[0]) =>
    this.#over("capture", request.key, () => this.model.capture(request));
  cancel = (request: Parameters<CardProvider["cancel"]>[0]) =>
    this.#over("cancel", request.key, () => this.model.cancel(request));
  refund = (request: Parameters<CardProvider["refund"]>[0]) =>
    this.#over("refund", request.key, () => this.model.refund(request));
  query = (asked: Parameters<CardProvider["query"]>[0]) =>
    this.#over("query", asked.key, () => this.model.query(asked));
  statement = () => this.model.statement();
  probe = async () => this.isAlive;
  close = async () => undefined;

  async #over<Outcome>(verb: Verb, key: string, call: () => Promise<Outcome>): Promise<Outcome | Unknown> {
    if (this.isCircuitOpen) return { ...unknown, isUnsent: true };
    this.calls.push(`${verb} ${key.slice(key.indexOf(".") + 1)}`);
    const index = this.#losses.findIndex((loss) => loss.verb === verb);
    const [loss] = index === -1 ? [] : this.#losses.splice(index, 1);
    if (loss?.what === "call" || !this.isAlive) return unknown;
    const answer = await call();
    return loss === undefined ? answer : unknown;
  }
}

let lastId = 0;
/** Ids of payments: the same hex digits for all but the end, and never two alike. */
const ids = { uuid: () => `0192f0c1-0000-7000-a000-${(++lastId).toString(16).padStart(12, "0")}` };

const webhookSecrets = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="];

/** Several are `card-a`, `card-b` and so on. */
export const portsWith = (...cards: readonly CardProvider[]): PaymentsPorts => ({
  providers: cards.map((card, index) => ({ name: `card-${"abc"[index]}`, card, webhookSecrets })),
  anomalies: { ...defaultAnomalyRule, probeEveryMs: 0 },
  ids,
  clock: { now: () => new Date().toISOString() },
  // At once, so that a test need not wait for the clock; the waits themselves have a test of their own.
  askingAgain: { firstMs: 0, longestMs: 0, overdueMs: 60_000 },
});

export const contextWith = (
  database: Database,
  provider: CardProvider,
  ports = portsWith(provider),
): ServiceContext<PaymentsPorts> => ({
  database,
  ports,
  feeds: { passed: async () => true },
});

/** Delivers events to the consumer as the feed does: first all of the first order of each, and so on. */
export const hear = (database: Database, provider: CardProvider, events: readonly Delivered[]): Promise<void> =>
  hearWith(database, portsWith(provider), events);

/** The same with these ports. */
export async function hearWith(database: Database, ports: PaymentsPorts, events: readonly Delivered[]): Promise<void> {
  const [moveMoney] = consumers;
  if (moveMoney === undefined) throw new Error("The service has no consumer.");
  await deliver<PaymentsPorts>(database, moveMoney, events, ports);
}

const never = new AbortController().signal;

/** Runs the job until nothing is due any more, at most so often. */
export async function askUntilQuiet(
  database: Database,
  provider: CardProvider,
  rounds = 20,
  ports = portsWith(provider),
): Promise<void> {
  for (let round = 0; round < rounds; round++)
    if ((await askAgain(contextWith(database, provider, ports), never)) === 0) return;
}

export async function told(database: Queryable) {
  return (await readOutbox(database)).map(
    ({ type, key, sequence }) => `${Number(key.slice(-12))} ${type.split(".")[1]} ${sequence}`,
  );
}

const statesSql = sql("test.payment-states", {
  takes: [],
  gives: { orderId: as<OrderId>(uuid), status: text, captured: bigint, refunded: bigint, ask: nullable(text) },
})`
  select order_id as "orderId", status, captured_minor as captured, refunded_minor as refunded, ask_movement as ask
  from payments.payment order by order_id`;

/** Each payment as one line: order, status, what was captured and refunded, and what is being asked. */
export async function states(database: Queryable): Promise<string[]> {
  const rows = await database.query(statesSql, []);
  return rows.map(({ orderId: id, status, captured, refunded, ask }) =>
    `${Number(id.slice(-12))} ${status} ${captured}-${refunded} ${ask ?? ""}`.trim(),
  );
}

const ledgerSql = sql("test.ledger", {
  takes: [],
  gives: { order: as<OrderId>(uuid), movement: text, account: text, amount: bigint },
})`
  select order_id as "order", movement, account, amount_minor as amount from payments.ledger_entry order by order_id, movement, account`;

/** What the provider owes us by our ledger; throws when a transaction of the ledger does not sum to zero. */
export async function owedByLedger(database: Queryable): Promise<number> {
  const entries = await database.query(ledgerSql, []);
  for (const [transaction, sides] of Map.groupBy(entries, ({ order, movement }) => `${order} ${movement}`)) {
    const sum = sides.reduce((total, { amount }) => total + amount, 0);
    if (sum !== 0 || sides.length !== 2) throw new Error(`${transaction} sums to ${sum} over ${sides.length} entries.`);
  }
  return entries.filter(({ account }) => account === "provider").reduce((total, { amount }) => total + amount, 0);
}

export const owedByModel = ({ model }: LossyProvider): number => model.capturedMinor - model.refundedMinor;

const endLeasesSql = sql("test.end-leases", { takes: [], gives: {} })`
  update payments.unsettled set next_ask_at = clock_timestamp()`;

/** What a process that died had claimed comes free after its lease; here, at once. */
export async function endLeases(database: Queryable): Promise<void> {
  await database.execute(endLeasesSql, []);
}

const unsettledSql = sql("test.unsettled", { takes: [], gives: { count: bigint } })`
  select count(*) as count from payments.unsettled`;

export async function unsettledCount(database: Queryable): Promise<number> {
  return (await database.query(unsettledSql, []))[0]?.count ?? 0;
}
