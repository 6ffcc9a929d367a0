import { waitFor } from "@onsale/testing";
import pg from "pg";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FaultKind, noFaults, setFaults } from "../src/index.ts";
import { Counter, orderOf, payable, returned, secured, withdrawn } from "./counter.ts";

// What a provider and the network to it can do to a payment, one order a row, against the provider as a process of its
// own. After all of it nobody has been charged twice, nothing is pending, and both ledgers say the same.
let counter: Counter;
let admin: pg.Client;
let orders = 0;

beforeAll(async () => {
  counter = await Counter.open({ hearsWebhooks: true, keyMemoryMs: 3_600_000 });
  admin = new pg.Client({ connectionString: counter.own.adminUrl });
  await admin.connect();
}, 60_000);
afterAll(async () => {
  await admin.end();
  await counter[Symbol.asyncDispose]();
});

const provider = () => counter.merchant(0);
const switchOn = (shares: Partial<Record<FaultKind, number>>, more: object = {}) =>
  setFaults(provider().provider.url, provider().secrets.apiSecret, { ...noFaults, shares, ...more });
const bookOf = async (number: number) => (await counter.books())[number];
const askAgain = () => counter.run("payments.ask-again");
const becomes = (number: number, book: string) =>
  waitFor(async () => (await bookOf(number)) === book, { what: `order ${number}: ${book}` });

/** Goes both steps with a fault, the provider silent where nothing else is said; then the fault is over and the job looks. */
async function goThrough(shares: Partial<Record<FaultKind, number>>, more: object = {}): Promise<number> {
  const number = ++orders;
  for (const step of [payable, secured]) {
    await switchOn({ webhookNever: 1, ...shares }, more);
    await counter.hear(step(number));
    await switchOn({ webhookNever: 1 });
    await askAgain();
  }
  return number;
}

describe("nobody knows the outcome", () => {
  test.each([
    ["charged, then the connection was cut", { chargedThenTimeout: 1 }, {}],
    ["500 after charging", { failAfter: 1 }, {}],
    ["500 before charging", { failBefore: 1 }, {}],
    ["no answer in time", { slow: 1 }, { slowMs: 1_200 }],
    ["nobody there", { down: 1 }, {}],
  ] as const)("%s: it is asked for, and charged once", async (_, shares, more) => {
    const number = await goThrough(shares, more);
    // A slow call may still be on its way when it is asked for; then the next look finds it.
    await waitFor(async () => {
      await askAgain();
      return (await bookOf(number)) === "CAPTURED 1000-0=1000";
    });
  });

  test("of a refund: it is given back once", async () => {
    const number = await goThrough({});
    await switchOn({ webhookNever: 1, chargedThenTimeout: 1 });
    await counter.hear(returned(number, 300));
    expect(await bookOf(number)).toMatch(/^CAPTURED 1000-0=1000 refund/);
    await switchOn({});
    await askAgain();
    expect(await bookOf(number)).toBe("CAPTURED 1000-300=700");
  });

  test("of the capture of an order that is withdrawn: what was charged goes back", async () => {
    const number = ++orders;
    await counter.hear(payable(number));
    await switchOn({ webhookNever: 1, failAfter: 1 });
    await counter.hear(secured(number));
    await counter.hear(withdrawn(number));
    await switchOn({ webhookNever: 1 });
    await waitFor(async () => {
      await askAgain();
      return (await bookOf(number)) === "REVERSED 1000-1000=0";
    });
  });
});

describe("webhooks", () => {
  test("before the answer: it settles the question, and the answer changes nothing", async () => {
    const number = ++orders;
    await switchOn({});
    const [named, ...others] = counter.ports.providers;
    if (named === undefined) throw new Error("There is no provider.");
    const card = {
      ...named.card,
      async authorise(...call: Parameters<typeof named.card.authorise>) {
        const answer = await named.card.authorise(...call);
        await becomes(number, "AUTHORISED 0-0=0");
        return answer;
      },
    };
    await counter.hearWith({ ...counter.ports, providers: [{ ...named, card }, ...others] }, payable(number));
    expect(await bookOf(number)).toBe("AUTHORISED 0-0=0");
    expect(await counter.told(number)).toEqual(["payment.authorised.v1"]);
  });

  test("twice: it counts once", async () => {
    const number = ++orders;
    await switchOn({ webhookDuplicate: 1, chargedThenTimeout: 1 });
    await counter.hear(payable(number));
    await becomes(number, "AUTHORISED 0-0=0");
    await counter.hear(secured(number));
    await becomes(number, "CAPTURED 1000-0=1000");
    expect(await counter.told(number)).toEqual(["payment.authorised.v1", "payment.captured.v1"]);
  });

  test("never: the job finds out", async () => {
    const number = await goThrough({ webhookNever: 1, chargedThenTimeout: 1 });
    expect(await bookOf(number)).toBe("CAPTURED 1000-0=1000");
  });

  const minutes = 60_000;
  const stranger = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  test.each([
    ["forged", 401, { secret: stranger }],
    ["six minutes old", 401, { at: -6 * minutes }],
    ["from six minutes ahead", 401, { at: 6 * minutes }],
    ["about another amount", 422, { change: { amountMinor: 999 } }],
    ["about another currency", 422, { change: { currency: "EUR" } }],
    ["about another order", 422, { change: { reference: orderOf(999) } }],
    ["about another payment", 422, { change: { id: `pay_${"0".repeat(32)}` } }],
  ])("%s: refused, and nothing is settled by it", async (_, status, { secret, at = 0, change = {} }: Lie) => {
    const number = ++orders;
    await switchOn({ webhookNever: 1 });
    await counter.hear(payable(number));
    await switchOn({ webhookNever: 1, failAfter: 1 });
    await counter.hear(secured(number));
    const [payment] = (await provider().ledger()).filter(({ reference }) => reference === orderOf(number));
    const movement = payment?.movements.find(({ kind }) => kind === "capture");
    const body = JSON.stringify({ events: [{ id: `evt_${number}`, data: { ...payment, movement, ...change } }] });
    expect(
      await send(body, { secret: secret ?? provider().secrets.webhookSecret, at: new Date(Date.now() + at) }),
    ).toBe(status);
    expect(await bookOf(number)).toBe("CAPTURING 0-0=0 capture?");
    await switchOn({ webhookNever: 1 });
    await askAgain();
    expect(await bookOf(number)).toBe("CAPTURED 1000-0=1000");
  });

  interface Lie {
    readonly secret?: string;
    readonly at?: number;
    readonly change?: object;
  }

  async function send(payload: string, { secret, at }: { secret: string; at: Date }): Promise<number> {
    const answer = await counter.http.inject({
      method: "POST",
      url: "/v1/webhooks/card-providers/card-a",
      payload,
      headers: {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
        "webhook-signature": new Webhook(secret).sign("msg_1", at, payload),
      },
    });
    return answer.statusCode;
  }
});

describe("a redrive, days later", () => {
  /** As if the event had lain among the dead since its answer was lost; the provider has forgotten its key. */
  async function redrive(shares: Partial<Record<FaultKind, number>>): Promise<number> {
    const number = ++orders;
    await switchOn({ webhookNever: 1, ...shares });
    await counter.hear(payable(number));
    await provider().start({ keyMemoryMs: 0, port: Number(new URL(provider().provider.url).port) });
    await switchOn({ webhookNever: 1 });
    await admin.query("update payments.payment set asked_at = asked_at - interval '2 days' where order_id = $1", [
      orderOf(number),
    ]);
    await counter.hear(payable(number));
    return number;
  }

  test("what was done is asked for before it is asked again: nobody is charged twice", async () => {
    expect(await bookOf(await redrive({ failAfter: 1 }))).toBe("AUTHORISED 0-0=0");
  });

  test("what never came is not asked under a key that protects nothing any more", async () => {
    expect(await bookOf(await redrive({ failBefore: 1 }))).toBe("DECLINED 0-0=0");
  });
});

describe("currencies", () => {
  // The minor unit is the provider's and ours: yen and won have none below them, a pound has 100, a dinar 1,000.
  test.each([
    ["JPY", 1],
    ["KRW", 49_900],
    ["GBP", 1_999],
    ["KWD", 12_345],
    ["KWD", 1_000_000_000_000],
  ])("%s %i is charged, partly given back, and given back whole, to the unit", async (currency, amountMinor) => {
    const number = ++orders;
    await switchOn({ webhookNever: 1 });
    await counter.hear(payable(number, { amountMinor, currency }));
    await counter.hear(secured(number));
    const part = Math.floor(amountMinor / 3);
    await counter.hear(returned(number, part));
    const [charged] = (await provider().ledger()).filter(({ reference }) => reference === orderOf(number));
    expect(charged).toMatchObject({ currency, amountMinor, capturedMinor: amountMinor, refundedMinor: part });
    expect(await bookOf(number)).toBe(`CAPTURED ${amountMinor}-${part}=${amountMinor - part}`);
    await counter.hear(withdrawn(number));
    expect(await bookOf(number)).toBe(`REVERSED ${amountMinor}-${amountMinor}=0`);
  });
});

test("after all of it nobody was charged twice, nothing is pending, and both ledgers say the same", async () => {
  const books = await counter.books();
  expect(Object.values(books).filter((book) => book.endsWith("?"))).toEqual([]);
  const ledger = await provider().ledger();
  const byOrder = Map.groupBy(ledger, ({ reference }) => reference);
  for (const [reference, payments] of byOrder) {
    expect(payments, reference).toHaveLength(1);
    const [{ capturedMinor = 0, refundedMinor = 0 } = {}] = payments;
    expect(books[Number(reference.slice(-12))]).toMatch(new RegExp(`=${capturedMinor - refundedMinor}$`));
  }
  expect(byOrder.size).toBe(Object.keys(books).length - 1); // One never reached the provider.
  const { body } = await counter.call("POST", "payments/reconciliations", { repair: false });
  await counter.run("payments.reconcile");
  expect((await counter.call("GET", `payments/reconciliations/${body.runId}`)).body).toMatchObject({ findings: [] });
});
