import { providerLineRecovered, providerLineSwitched } from "@onsale/contracts/payments";
import { nullable, sql, text } from "@onsale/postgres";
import { listOpenTasks } from "@onsale/saga";
import { readOutbox, type TestDatabase } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askAgain } from "../src/ask-again.ts";
import { prepareMoves } from "../src/move-money.ts";
import type { PaymentsPorts } from "../src/ports.ts";
import { settleAnswers } from "../src/settle-answers.ts";
import { showPayment } from "../src/show-payment.ts";
import { claimUnsettled, findUnsent } from "../src/store/unsettled.ts";
import { showProviders, switchByHand } from "../src/switch-provider.ts";
import { watchProviders } from "../src/watch-providers.ts";
import {
  askUntilQuiet,
  contextWith,
  endLeases,
  hearWith,
  LossyProvider,
  openTill,
  orderId,
  payable,
  portsWith,
  secured,
  told,
  withdrawn,
} from "./till.ts";

let own: TestDatabase;
let database: ReturnType<TestDatabase["open"]>;
let a: LossyProvider;
let b: LossyProvider;
let ports: PaymentsPorts;
const never = new AbortController().signal;

beforeEach(async () => {
  own = await openTill();
  database = own.open("payments");
  [a, b] = [new LossyProvider(), new LossyProvider()];
  ports = { ...portsWith(a, b), anomalies: { ...portsWith(a, b).anomalies, failures: 5 } };
  await look();
});
afterEach(() => own.close());

const context = () => contextWith(database, a, ports);
const look = () => watchProviders(context(), never);
const orders = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);
const pay = (from: number, count: number) => hear(orders(from, count).map((number) => payable(number)));
const hear = (events: Parameters<typeof hearWith>[2]) => hearWith(database, ports, events);
const facts = async () =>
  (await readOutbox(database)).flatMap(({ type, data, sequence }) =>
    type.startsWith("provider-line") ? [{ type, sequence, ...(data as object) }] : [],
  );
const stateOf = async (name: string) =>
  (await showProviders(database, ports)).providers.find(({ provider }) => provider === name);

const providersSql = sql("test.payments-by-provider", { takes: [], gives: { who: nullable(text) } })`
  select provider || ' ' || status || ' ' || count(*) as who from payments.payment group by provider, status order by 1`;
const byProvider = async () => (await database.query(providersSql, [])).map(({ who }) => who);

test("a provider that stops answering loses the new payments, once, and keeps those it was asked for", async () => {
  await pay(1, 3);
  a.isAlive = false;
  await pay(11, 6);
  await Promise.all([look(), look(), look()]);
  await pay(21, 3);
  await look();
  expect(await byProvider()).toEqual(["card-a AUTHORISED 3", "card-a AUTHORISING 6", "card-b AUTHORISED 3"]);
  expect(await facts()).toEqual([
    { type: providerLineSwitched.type, sequence: 1, line: "card", from: "card-a", to: "card-b", why: "FAILURES" },
  ]);
  expect(await listOpenTasks(database, { limit: 9 })).toMatchObject([{ kind: "payment.provider-down", key: "card-a" }]);
  // What was begun goes its way where it was begun, to its end.
  await hear([secured(1), withdrawn(11), secured(21)]);
  expect(b.calls.filter((call) => call.startsWith("capture"))).toHaveLength(1);
  a.isAlive = true;
  await endLeases(database);
  await askUntilQuiet(database, a, 20, ports);
  expect(await byProvider()).toEqual([
    ...["card-a AUTHORISED 7", "card-a CAPTURED 1", "card-a REVERSED 1"],
    ...["card-b AUTHORISED 2", "card-b CAPTURED 1"],
  ]);
  expect(b.model.authorisations).toBe(3);
});

describe("what never left for the provider that is left", () => {
  const askAll = async () => {
    await endLeases(database);
    await Promise.all([askAgain(context(), never), askAgain(context(), never)]);
    await askUntilQuiet(database, a, 20, ports);
  };

  test("goes to the other one, once, and what may have been sent stays", async () => {
    a.isAlive = false;
    await pay(11, 3);
    a.isCircuitOpen = true;
    await pay(21, 4);
    await hear([withdrawn(24)]);
    await look();
    await askAll();
    expect(await byProvider()).toEqual(["card-a AUTHORISING 3", "card-a REVERSED 1", "card-b AUTHORISED 3"]);
    expect(a.calls.filter((call) => call.startsWith("authorise"))).toHaveLength(3);
    expect(b.calls.toSorted()).toEqual(Array(3).fill("authorise authorise"));
    expect((await showPayment(database, orderId(21)))?.incidents).toMatchObject([
      { what: "REROUTED", detail: "Nothing of it had left for card-a; card-b is asked." },
      { what: "UNKNOWN" },
    ]);
    // What was rerouted is charged where it was authorised, and the dead one's return brings no second authorisation.
    [a.isAlive, a.isCircuitOpen] = [true, false];
    await askAll();
    await hear([21, 22, 23].map(secured));
    expect([a.model.authorisations, b.model.authorisations, b.model.captures]).toEqual([3, 3, 3]);
  });

  test("stays while its provider is the one that new payments go to, and is asked there first when it is back", async () => {
    a.isCircuitOpen = true;
    await pay(1, 2);
    await askAll();
    a.isCircuitOpen = false;
    await askAll();
    expect(await byProvider()).toEqual(["card-a AUTHORISED 2"]);
    expect(a.calls).toEqual(["authorise authorise", "authorise authorise"]);
  });

  test("is nothing that was prepared before: whoever prepared it may have asked", async () => {
    await database.transaction((tx) => prepareMoves(tx, [payable(1)], ports));
    a.isCircuitOpen = true;
    await pay(1, 1);
    expect(await switchByHand(database, ports, wish("card-b"))).toBe("done");
    await askAll();
    expect(await byProvider()).toEqual(["card-a AUTHORISING 1"]);
    expect(b.calls).toEqual([]);
  });

  test("is nothing that somebody else claimed meanwhile: a process that stalled knows of its own call alone", async () => {
    a.isCircuitOpen = true;
    await pay(1, 1);
    await endLeases(database);
    const [stalled] = await claimUnsettled(database, { limit: 9, leaseMs: 0 });
    await claimUnsettled(database, { limit: 9, leaseMs: 0 });
    const answer = { kind: "unknown" as const, why: "It stalled.", isUnsent: true };
    const heard = { orderId: orderId(1), movement: "authorise", answer, neverSent: stalled };
    await database.transaction((tx) => settleAnswers(tx, [heard], { ...ports, now: new Date().toISOString() }));
    expect(stalled).toMatchObject({ tries: 1, unsentTo: "card-a" });
    expect(await findUnsent(database, { providers: ["card-a"], limit: 9 })).toEqual([]);
  });
});

test("it is found back after several answers in a row, and gets the new payments only by hand", async () => {
  a.isAlive = false;
  await pay(1, 6);
  await look();
  await look();
  a.isAlive = true;
  await look();
  a.isAlive = false;
  await look();
  expect(await stateOf("card-a")).toMatchObject({ state: "DOWN" });
  expect(await switchByHand(database, ports, wish("card-a"))).toBe("down");
  a.isAlive = true;
  for (let round = 0; round < 3; round++) await look();
  expect(await stateOf("card-a")).toMatchObject({ state: "UP" });
  expect((await facts()).at(-1)).toEqual({
    ...{ type: providerLineRecovered.type, sequence: 2 },
    ...{ line: "card", provider: "card-a" },
  });
  expect(await listOpenTasks(database, { limit: 9 })).toEqual([]);
  await look();
  expect((await showProviders(database, ports)).active).toBe("card-b");
  expect(await switchByHand(database, ports, wish("card-a"))).toBe("done");
  await look();
  expect(await showProviders(database, ports)).toMatchObject({
    active: "card-a",
    incidents: [
      { what: "SWITCHED", provider: "card-a", why: "its trouble is over", doneBy: orderId(9) },
      { what: "RECOVERED", provider: "card-a" },
      { what: "SWITCHED", provider: "card-b", why: "FAILURES" },
      { what: "DOWN", provider: "card-a" },
    ],
  });
});

const wish = (provider: string) => ({
  provider,
  reason: "its trouble is over",
  operatorId: orderId(9),
  cause: { correlationId: "c" },
});

test("an authorisation that is pending for too long is enough", async () => {
  a.lose("authorise", "answer");
  await pay(1, 1);
  await look();
  expect(await facts()).toEqual([]);
  await database.execute(ageSql, []);
  await look();
  expect(await facts()).toMatchObject([{ from: "card-a", to: "card-b", why: "PENDING" }]);
});

test("with both down it stays, and goes to the first that is back", async () => {
  [a.isAlive, b.isAlive] = [false, false];
  await pay(1, 6);
  await look();
  await pay(11, 6);
  await look();
  await look();
  expect((await facts()).map(({ type }) => type)).toEqual([providerLineSwitched.type]);
  expect(await stateOf("card-b")).toMatchObject({ state: "DOWN" });
  a.isAlive = true;
  for (let round = 0; round < 4; round++) await look();
  expect(await facts()).toMatchObject([
    { to: "card-b" },
    { type: providerLineRecovered.type, provider: "card-a" },
    { from: "card-b", to: "card-a", why: "DOWN" },
  ]);
});

test("one alone is told of and stays", async () => {
  ports = { ...ports, providers: ports.providers.slice(0, 1) };
  a.isAlive = false;
  await pay(1, 6);
  await look();
  expect(await facts()).toEqual([]);
  expect(await stateOf("card-a")).toMatchObject({ state: "DOWN", failures: 0 });
});

test("a provider that is not configured any more gets nothing new", async () => {
  ports = { ...ports, providers: ports.providers.slice(1) };
  await look();
  await pay(1, 1);
  expect(await byProvider()).toEqual(["card-b AUTHORISED 1"]);
  expect(await facts()).toMatchObject([{ from: "card-a", to: "card-b", why: "CONFIGURATION" }]);
  expect(await told(database)).toContain("1 authorised 1");
});

describe("an operator", () => {
  test("can choose only what there is", async () => {
    expect(await switchByHand(database, ports, wish("card-z"))).toBe("unknown");
    expect(await switchByHand(database, ports, wish("card-a"))).toBe("done");
    expect(await facts()).toEqual([]);
    expect(await switchByHand(database, ports, wish("card-b"))).toBe("done");
    expect(await facts()).toMatchObject([{ from: "card-a", to: "card-b", why: "OPERATOR" }]);
  });
});

const ageSql = sql("test.age-provider", { takes: [], gives: {} })`
  with aged as (update payments.provider set since = since - interval '1 hour'),
    older as (update payments.provider_choice set since = since - interval '1 hour')
  update payments.unsettled set since = since - interval '4 minutes'`;
