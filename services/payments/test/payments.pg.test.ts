import { stockConfirmed, stockLapsed, stockReserved } from "@onsale/contracts/inventory";
import { orderRejected } from "@onsale/contracts/orders";
import { pointsHeld } from "@onsale/contracts/wallet";
import { double, sql } from "@onsale/postgres";
import { listOpenTasks } from "@onsale/saga";
import type { TestDatabase } from "@onsale/testing";
import { eventOf } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askAgain } from "../src/ask-again.ts";
import { prepareMoves, settleMoves } from "../src/move-money.ts";
import { createForgottenSearch, watchUnsettled } from "../src/overlooked.ts";
import { settleAnswers } from "../src/settle-answers.ts";
import {
  askUntilQuiet,
  contextWith,
  endLeases,
  hear,
  LossyProvider,
  openTill,
  orderId,
  owedByLedger,
  owedByModel,
  payable,
  portsWith,
  returned,
  secured,
  states,
  told,
  unsettledCount,
  withdrawn,
} from "./till.ts";

let own: TestDatabase;
let database: ReturnType<TestDatabase["open"]>;
let provider: LossyProvider;

beforeEach(async () => {
  own = await openTill();
  database = own.open("payments");
  provider = new LossyProvider();
});
afterEach(() => own.close());

const never = new AbortController().signal;
const all = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe("an order's money", () => {
  test("three hundred orders are authorised and captured, each once, and the ledger agrees with the provider", async () => {
    await hear(
      database,
      provider,
      all(300).map((number) => payable(number, number)),
    );
    await hear(database, provider, all(300).map(secured));
    expect(new Set((await states(database)).map((it) => it.split(" ")[1]))).toEqual(new Set(["CAPTURED"]));
    expect(await owedByLedger(database)).toBe(45_150);
    expect(owedByModel(provider)).toBe(45_150);
    expect(provider.calls.length).toBe(600);
    expect(await unsettledCount(database)).toBe(0);
  });

  test("where nobody leads: stock asks the card, points ask for the rest, and what is confirmed is captured", async () => {
    const dues = (method: "card" | "wallet" | "split") =>
      ({
        buyerId: "0192f0c1-0000-7000-b000-000000000001",
        method,
        cardMinor: method === "wallet" ? 0 : 700,
        pointsMinor: 300,
        currency: "GBP",
      }) as const;
    const from = { source: "inventory", sequence: 1 } as const;
    const reserved = (number: number, method: "card" | "wallet" | "split") =>
      eventOf(stockReserved, { orderId: orderId(number), dues: dues(method) }, from);
    const confirmed = (number: number) =>
      eventOf(stockConfirmed, { orderId: orderId(number) }, { ...from, sequence: 2 });
    await hear(database, provider, [
      reserved(1, "card"),
      reserved(2, "wallet"),
      reserved(3, "split"),
      reserved(4, "card"),
    ]);
    await hear(database, provider, [
      eventOf(pointsHeld, { orderId: orderId(2), dues: dues("wallet") }, { sequence: 1, source: "wallet" }),
      eventOf(pointsHeld, { orderId: orderId(3), dues: dues("split") }, { sequence: 1, source: "wallet" }),
    ]);
    const lapsed = eventOf(stockLapsed, { orderId: orderId(4) }, { ...from, sequence: 2 });
    await hear(database, provider, [confirmed(1), confirmed(2), confirmed(3), lapsed]);
    const over = eventOf(orderRejected, { orderId: orderId(2) }, { sequence: 2 });
    await hear(database, provider, [over]);
    expect(await states(database)).toEqual(["1 CAPTURED 700-0", "3 CAPTURED 700-0", "4 REVERSED 0-0"]);
    expect(owedByModel(provider)).toBe(1_400);
  });

  test("what was declined is told, and has nothing to give back", async () => {
    provider = new LossyProvider({ declines: true });
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [withdrawn(1)]);
    expect(await told(database)).toEqual(["1 declined 1", "1 reversed 2"]);
    expect(provider.calls).toEqual(["authorise authorise"]);
  });

  test("a withdrawn order's authorisation is voided, its charge refunded", async () => {
    await hear(database, provider, [payable(1), payable(2)]);
    await hear(database, provider, [secured(2)]);
    await hear(database, provider, [withdrawn(1), withdrawn(2)]);
    expect(await states(database)).toEqual(["1 REVERSED 0-0", "2 REVERSED 1000-1000"]);
    expect(await owedByLedger(database)).toBe(0);
    expect(provider.model.isSetAside).toBe(false);
  });

  test("returns are refunded as far as was paid", async () => {
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [secured(1)]);
    await hear(database, provider, [returned(1, 600, 1)]);
    await hear(database, provider, [returned(1, 600, 2)]);
    await hear(database, provider, [returned(1, 400, 3)]);
    expect(await told(database)).toEqual(["1 authorised 1", "1 captured 2", "1 refunded 3", "1 refunded 4"]);
    expect(await owedByLedger(database)).toBe(0);
    await hear(database, provider, [withdrawn(1)]);
    expect((await told(database)).at(-1)).toBe("1 reversed 5");
  });

  test("a return of an order that was paid with points alone is none of ours", async () => {
    await hear(database, provider, [returned(1, 0)]);
    expect(await told(database)).toEqual([]);
    await expect(hear(database, provider, [returned(2, 1)])).rejects.toThrow(/never was payable/);
  });

  test("two returns in one batch are refunded one after the other", async () => {
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [secured(1)]);
    await hear(database, provider, [returned(1, 300, 1), returned(1, 200, 2)]);
    await askUntilQuiet(database, provider);
    expect(owedByModel(provider)).toBe(500);
    expect(await owedByLedger(database)).toBe(500);
    expect(await unsettledCount(database)).toBe(0);
  });

  test("an order withdrawn before it was payable is never charged", async () => {
    await hear(database, provider, [withdrawn(1)]);
    await hear(database, provider, [payable(1)]);
    expect(await told(database)).toEqual(["1 reversed 1"]);
    expect(provider.calls).toEqual([]);
  });

  test("a return of an order that was paid with points alone is no matter of cards", async () => {
    await hear(database, provider, [returned(1, 0)]);
    expect(await told(database)).toEqual([]);
    expect(await states(database)).toEqual([]);
    await expect(hear(database, provider, [returned(2, 1)])).rejects.toThrow(/never was payable/);
  });

  test("an event that only a lost event could bring is refused aloud", async () => {
    await expect(hear(database, provider, [secured(1)])).rejects.toThrow(/never was payable/);
  });
});

describe("an unknown outcome", () => {
  test.each(["call", "answer"] as const)(
    "the %s of an authorisation is lost: asked again under its key, authorised once",
    async (what) => {
      provider.lose("authorise", what);
      await hear(database, provider, [payable(1)]);
      expect(await states(database)).toEqual(["1 AUTHORISING 0-0 authorise"]);
      expect(await told(database)).toEqual([]);
      await askUntilQuiet(database, provider);
      expect(await told(database)).toEqual(["1 authorised 1"]);
      expect(provider.model.authorisations).toBe(1);
      expect(await unsettledCount(database)).toBe(0);
    },
  );

  test.each(["call", "answer"] as const)("the %s of a capture is lost: captured once", async (what) => {
    provider.lose("capture", what);
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [secured(1)]);
    await askUntilQuiet(database, provider);
    expect(await told(database)).toEqual(["1 authorised 1", "1 captured 2"]);
    expect(provider.model.captures).toBe(1);
    expect(await owedByLedger(database)).toBe(1000);
  });

  test.each(["call", "answer"] as const)(
    "withdrawn while the %s of the authorisation is lost: told at once, resolved later",
    async (what) => {
      provider.lose("authorise", what);
      await hear(database, provider, [payable(1)]);
      await hear(database, provider, [withdrawn(1)]);
      expect(await told(database)).toEqual(["1 reversing 1"]);
      await askUntilQuiet(database, provider);
      expect(await told(database)).toEqual(["1 reversing 1", "1 reversed 2"]);
      expect(provider.model.isSetAside).toBe(false);
    },
  );

  test.each(["call", "answer"] as const)(
    "withdrawn while the %s of the capture is lost: never captured afterwards, refunded if it was",
    async (what) => {
      provider.lose("capture", what);
      await hear(database, provider, [payable(1)]);
      await hear(database, provider, [secured(1)]);
      await hear(database, provider, [withdrawn(1)]);
      await askUntilQuiet(database, provider);
      expect((await told(database)).at(-1)).toMatch(/^1 reversed/);
      expect(provider.calls.filter((call) => call.startsWith("capture"))).toHaveLength(1);
      expect(owedByModel(provider)).toBe(0);
      expect(await owedByLedger(database)).toBe(0);
      expect(provider.model.isSetAside).toBe(false);
    },
  );

  test("a reversal whose answer is lost does not hold up the order", async () => {
    await hear(database, provider, [payable(1)]);
    provider.lose("cancel", "answer");
    await hear(database, provider, [withdrawn(1)]);
    expect(await told(database)).toEqual(["1 authorised 1", "1 reversing 2"]);
    await askUntilQuiet(database, provider);
    expect((await told(database)).at(-1)).toBe("1 reversed 3");
  });

  test("a key that the provider has forgotten is not used again", async () => {
    provider = new LossyProvider({ keyMemoryMs: 0 });
    provider.lose("authorise", "call");
    await hear(database, provider, [payable(1)]);
    await askUntilQuiet(database, provider);
    expect(provider.calls).toEqual(["authorise authorise", "query authorise"]);
    expect(await told(database)).toEqual(["1 declined 1"]);
  });

  test("an adapter that throws leaves the outcome unknown and the order's next event free", async () => {
    const broken = { ...provider, authorise: () => Promise.reject(new Error("bug")) };
    await hear(database, broken, [payable(1)]);
    expect(await states(database)).toEqual(["1 AUTHORISING 0-0 authorise"]);
    await hear(database, provider, [withdrawn(1)]);
    expect(await told(database)).toEqual(["1 reversing 1"]);
  });

  test("the waits between the tries double up to the longest", async () => {
    const ports = { ...portsWith(provider), askingAgain: { firstMs: 1_000, longestMs: 3_000, overdueMs: 60_000 } };
    provider.lose("authorise", "call");
    await database.transaction(async (tx) => {
      const [first] = await prepareMoves(tx, [payable(1)], ports);
      if (first === undefined) throw new Error("Nothing was prepared.");
      const outcome = { kind: "unknown", why: "lost" } as const;
      await settleMoves(tx, [{ event: payable(1), work: first.work, outcome }], ports);
    });
    const waits: number[] = [];
    for (let round = 0; round < 4; round++) {
      waits.push(Math.round((await waitSeconds()) ?? Number.NaN));
      expect(await askAgain(contextWith(database, provider, ports), never)).toBe(0);
      await endLeases(database);
      provider.lose("query", "call");
      expect(await askAgain(contextWith(database, provider, ports), never)).toBe(1);
    }
    expect(waits).toEqual([1, 2, 3, 3]);
  });
});

describe("a crash between asking and knowing", () => {
  test("the same question is asked again under the same key", async () => {
    const prepare = () => database.transaction((tx) => prepareMoves(tx, [payable(1)], portsWith(provider)));
    const [before] = await prepare();
    const [after] = await prepare();
    expect(after).toEqual({ ...before, work: { ...before?.work, isFirst: false } });
    expect(after?.work.payment.ask?.movement).toBe("authorise");
  });

  test("the answer that comes twice counts once", async () => {
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [secured(1)]);
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [secured(1)]);
    expect(await told(database)).toEqual(["1 authorised 1", "1 captured 2"]);
  });

  test.each(["authorised", "declined"] as const)(
    "an answer (%s) to a question that a webhook has settled meanwhile changes nothing",
    async (kind) => {
      const ports = portsWith(provider);
      const [prepared] = await database.transaction((tx) => prepareMoves(tx, [payable(1)], ports));
      if (prepared === undefined) throw new Error("Nothing was prepared.");
      const answer = { kind: "authorised", providerId: "pay_1" } as const;
      const given = { now: ports.clock.now(), askingAgain: ports.askingAgain };
      const heard = { orderId: orderId(1), movement: "authorise", answer };
      await database.transaction((tx) => settleAnswers(tx, [heard], given));
      const late = kind === "authorised" ? answer : ({ kind, reason: "late" } as const);
      await database.transaction((tx) =>
        settleMoves(tx, [{ event: payable(1), work: prepared.work, outcome: late }], ports),
      );
      expect(await told(database)).toEqual(["1 authorised 1"]);
      expect(await states(database)).toEqual(["1 AUTHORISED 0-0"]);
    },
  );

  test("consumer and job settling at the same moment settle once", async () => {
    provider.lose("authorise", "answer", 20);
    await hear(
      database,
      provider,
      all(20).map((number) => payable(number)),
    );
    await Promise.all([
      askUntilQuiet(database, provider),
      askUntilQuiet(database, provider),
      hear(
        database,
        provider,
        all(20).map((number) => payable(number)),
      ),
    ]);
    await askUntilQuiet(database, provider);
    expect((await told(database)).toSorted()).toEqual(
      all(20)
        .map((number) => `${number} authorised 1`)
        .toSorted(),
    );
    expect(await unsettledCount(database)).toBe(0);
  });
});

describe("the last nets", () => {
  test("a payment that is unsettled for too long calls a person, once, until it is settled", async () => {
    provider.lose("authorise", "call");
    await hear(database, provider, [payable(1)]);
    const context = contextWith(database, provider);
    await watchUnsettled(context);
    expect(await listOpenTasks(database, { limit: 10 })).toEqual([]);
    await database.execute(ageSql, []);
    await watchUnsettled(context);
    await watchUnsettled(context);
    expect(await listOpenTasks(database, { limit: 10 })).toMatchObject([
      { kind: "payment.unsettled", key: orderId(1) },
    ]);
    await askUntilQuiet(database, provider);
    expect(await listOpenTasks(database, { limit: 10 })).toEqual([]);
  });

  test("an open question that nobody asks any more is found", async () => {
    await database.transaction((tx) => prepareMoves(tx, [payable(1), payable(2)], portsWith(provider)));
    const search = createForgottenSearch();
    await search(contextWith(database, provider), never);
    expect(await unsettledCount(database)).toBe(0);
    await database.execute(forgetSql, []);
    await search(contextWith(database, provider), never);
    expect(await unsettledCount(database)).toBe(2);
    await askUntilQuiet(database, provider);
    expect(await told(database)).toEqual(["1 authorised 1", "2 authorised 1"]);
  });
});

describe("guards of the database", () => {
  test("the ledger can't be changed, only added to, and not twice", async () => {
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [secured(1)]);
    await expect(database.execute(changeLedgerSql, [])).rejects.toThrow(/permission denied/);
    await expect(database.execute(clearLedgerSql, [])).rejects.toThrow(/permission denied/);
    await expect(database.execute(bookTwiceSql, [])).rejects.toThrow(/ledger_entry_pkey/);
  });

  test("a withdrawn payment can't be asked to capture", async () => {
    await hear(database, provider, [payable(1)]);
    await hear(database, provider, [withdrawn(1)]);
    await expect(database.execute(captureSql, [])).rejects.toThrow(/check constraint/);
  });
});

const waitSql = sql("test.wait", { takes: [], gives: { seconds: double } })`
  select extract(epoch from next_ask_at - clock_timestamp())::float8 as seconds from payments.unsettled`;
async function waitSeconds(): Promise<number | undefined> {
  return (await database.query(waitSql, []))[0]?.seconds;
}
const ageSql = sql("test.age", { takes: [], gives: {} })`
  update payments.unsettled set since = since - interval '1 hour'`;
const forgetSql = sql("test.forget", { takes: [], gives: {} })`
  update payments.payment set asked_at = asked_at - interval '1 hour'`;
const changeLedgerSql = sql("test.change-ledger", { takes: [], gives: {} })`
  update payments.ledger_entry set amount_minor = 1`;
const clearLedgerSql = sql("test.clear-ledger", { takes: [], gives: {} })`delete from payments.ledger_entry`;
const bookTwiceSql = sql("test.book-twice", { takes: [], gives: {} })`
  insert into payments.ledger_entry (order_id, movement, account, payment_id, amount_minor, currency)
  select order_id, movement, account, payment_id, amount_minor, currency from payments.ledger_entry`;
const captureSql = sql("test.capture", { takes: [], gives: {} })`
  update payments.payment set ask_movement = 'capture', ask_minor = 1, asked_at = now()`;
