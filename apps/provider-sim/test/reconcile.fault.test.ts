import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noFaults, setFaults } from "../src/index.ts";
import { Counter, orderOf, payable, returned, secured } from "./counter.ts";

// Both ledgers are real: ours in PostgreSQL, theirs in the providers' processes. Every way in which they can differ is
// planted once, behind everybody's back.
let counter: Counter;
let admin: pg.Client;

beforeAll(async () => {
  counter = await Counter.open();
  admin = new pg.Client({ connectionString: counter.own.adminUrl });
  await admin.connect();
  await counter.hear(...[1, 2, 3, 4, 5, 6, 7, 8].map((number) => payable(number)));
  await counter.hear(...[3, 4, 5, 6, 7].map(secured));
  await counter.hear(returned(6, 400));
}, 60_000);
afterAll(async () => {
  await admin.end();
  await counter[Symbol.asyncDispose]();
});

interface Finding {
  readonly kind: string;
  readonly reference: string;
  readonly repair: string;
  readonly state: string;
}

async function reconcile(repair: boolean, since?: string): Promise<string[]> {
  const { status, body } = await counter.call("POST", "payments/reconciliations", { repair, ...(since && { since }) });
  expect(status).toBe(202);
  await counter.run("payments.reconcile");
  return await findingsOf(body.runId);
}

async function findingsOf(runId: string): Promise<string[]> {
  const run = (await counter.call("GET", `payments/reconciliations/${runId}`)).body;
  expect(run).toMatchObject({ failure: null, endedAt: expect.any(String) });
  return (run.findings as Finding[])
    .map(({ kind, reference, repair: how, state }) => {
      const number = Number(reference.slice(-12));
      return `${Number.isNaN(number) ? reference : number} ${kind} ${how} ${state}`;
    })
    .toSorted();
}

const a = () => counter.merchant(0);
const b = () => counter.merchant(1);

test("ledgers that agree have no differences", async () => {
  expect(await reconcile(false)).toEqual([]);
  expect(await counter.books()).toMatchObject({ 1: "AUTHORISED 0-0=0", 6: "CAPTURED 1000-400=600" });
});

test("each kind of difference is found", async () => {
  // 1: it charged, and its answer never came. 2: it charged, and our database was restored to a moment before.
  await setFaults(a().provider.url, a().secrets.apiSecret, { ...noFaults, shares: { chargedThenTimeout: 1 } });
  await counter.hear(secured(1));
  await setFaults(a().provider.url, a().secrets.apiSecret, noFaults);
  const { paymentId, providerId } = await counter.paymentOf(2);
  await a().call("POST", `/v1/payments/${providerId}/capture`, { key: `${paymentId}.capture` });
  // 3: somebody changed our ledger. 4: the other provider charged the order, too. 5: money was set aside for it twice.
  await admin.query("update payments.ledger_entry set amount_minor = sign(amount_minor) * 999 where order_id = $1", [
    orderOf(3),
  ]);
  const { body: charged } = await b().authorise("twice", { reference: orderOf(4) });
  await b().call("POST", `/v1/payments/${charged.id}/capture`, { key: "twice.capture" });
  await a().authorise("aside", { reference: orderOf(5) });
  // 7: we booked what the provider never did. And it charged for an order that nobody here knows.
  await admin.query(
    `insert into payments.ledger_entry (order_id, movement, account, payment_id, amount_minor, currency)
     select order_id, 'refund.9', account, payment_id, -sign(amount_minor), currency
     from payments.ledger_entry where order_id = $1`,
    [orderOf(7)],
  );
  // 8: for us it ended without a charge, and the provider holds the money.
  await admin.query("update payments.payment set status = 'REVERSED' where order_id = $1", [orderOf(8)]);
  const { body: foreign } = await b().authorise("foreign", { reference: "an-order-of-another-shop" });
  await b().call("POST", `/v1/payments/${foreign.id}/capture`, { key: "foreign.capture" });
  expect(await reconcile(false)).toEqual([
    "1 MISSING ASK OPEN",
    "2 MISSING ASK OPEN",
    "3 DIFFERENT PERSON OPEN",
    "4 DUPLICATE GIVE_BACK OPEN",
    "5 DUPLICATE GIVE_BACK OPEN",
    "7 MISSING PERSON OPEN",
    "8 DIFFERENT GIVE_BACK OPEN",
    "an-order-of-another-shop UNKNOWN PERSON OPEN",
  ]);
  expect(await counter.books()).toMatchObject({ 1: "CAPTURING 0-0=0 capture?", 2: "AUTHORISED 0-0=0" });
});

describe("a period", () => {
  const hour = 3_600_000;
  const since = () => new Date(Date.now() - hour).toISOString();

  test("leaves out what we booked of older payments, and finds what a provider moved in it", async () => {
    await admin.query(
      "update payments.payment set created_at = created_at - interval '1 day' where order_id = any($1)",
      [[orderOf(2), orderOf(7)]],
    );
    const found = await reconcile(false, since());
    expect(found).toHaveLength(7);
    expect(found).toContain("2 MISSING ASK OPEN");
    expect(found).not.toContain("7 MISSING PERSON OPEN");
  });

  test("must begin at a moment of the past", async () => {
    const since = (moment: string) =>
      counter.call("POST", "payments/reconciliations", { repair: false, since: moment });
    expect(await since(new Date(Date.now() + hour).toISOString())).toMatchObject({
      status: 422,
      body: { code: "RECONCILIATION_PERIOD" },
    });
    for (const noMoment of ["2026-02-30T00:00:00.000Z", "2026-99-01T00:00:00.000Z", "yesterday"])
      expect(await since(noMoment)).toMatchObject({ status: 422, body: { code: "VALIDATION_FAILED" } });
  });
});

test("a comparison that is broken off goes on where it stood", async () => {
  const { body } = await counter.call("POST", "payments/reconciliations", { repair: false });
  const stop = new AbortController();
  const [first, second] = counter.ports.providers;
  if (first === undefined || second === undefined) throw new Error("There are two providers.");
  // The statements are read when the process is told to end.
  const last = {
    ...second.card,
    async statement(...asked: Parameters<typeof second.card.statement>) {
      const page = await second.card.statement(...asked);
      stop.abort();
      return page;
    },
  };
  await counter.run(
    "payments.reconcile",
    { ...counter.ports, providers: [first, { ...second, card: last }] },
    stop.signal,
  );
  expect((await counter.call("GET", `payments/reconciliations/${body.runId}`)).body).toMatchObject({ endedAt: null });
  await admin.query("update payments.reconciliation set leased_until = now() where ended_at is null");
  await counter.run("payments.reconcile");
  expect(await findingsOf(body.runId)).toHaveLength(8);
});

test("a second comparison is refused while one is under way", async () => {
  expect((await counter.call("POST", "payments/reconciliations", { repair: false })).status).toBe(202);
  expect(await counter.call("POST", "payments/reconciliations", { repair: true })).toMatchObject({
    status: 409,
    body: { code: "RECONCILIATION_UNDER_WAY" },
  });
  await counter.run("payments.reconcile");
  expect((await counter.call("GET", `payments/reconciliations/${orderOf(1)}`)).status).toBe(404);
});

test("repaired, what can be booked is, what was charged twice went back, and the rest has a task", async () => {
  expect(await reconcile(true)).toEqual([
    "1 MISSING ASK REPAIRED",
    "2 MISSING ASK REPAIRED",
    "3 DIFFERENT PERSON TASK",
    "4 DUPLICATE GIVE_BACK REPAIRED",
    "5 DUPLICATE GIVE_BACK REPAIRED",
    "7 MISSING PERSON TASK",
    "8 DIFFERENT GIVE_BACK REPAIRED",
    "an-order-of-another-shop UNKNOWN PERSON TASK",
  ]);
  expect(await counter.books()).toMatchObject({ 1: "CAPTURED 1000-0=1000", 2: "CAPTURED 1000-0=1000" });
  const held = [...(await a().ledger()), ...(await b().ledger())].filter(({ reference }) =>
    [orderOf(4), orderOf(5), orderOf(8)].includes(reference),
  );
  expect(
    held.map(({ status, capturedMinor, refundedMinor }) => `${status} ${capturedMinor - refundedMinor}`).toSorted(),
  ).toEqual(["cancelled 0", "cancelled 0", "captured 0", "captured 1000", "captured 1000"]);
});

test("a second run finds nothing new; what a person has put right leaves its task", async () => {
  const left = ["3 DIFFERENT PERSON TASK", "7 MISSING PERSON TASK", "an-order-of-another-shop UNKNOWN PERSON TASK"];
  expect(await reconcile(true)).toEqual(left);
  const tasks = async () => (await admin.query("select from payments.person_task where closed_at is null")).rowCount;
  expect(await tasks()).toBe(3);
  await admin.query("update payments.ledger_entry set amount_minor = sign(amount_minor) * 1000 where order_id = $1", [
    orderOf(3),
  ]);
  expect(await reconcile(false)).toEqual(left.slice(1));
  expect(await tasks()).toBe(2);
});

test("a provider that does not answer ends the comparison with its reason", async () => {
  await setFaults(b().provider.url, b().secrets.apiSecret, { ...noFaults, shares: { down: 1 } });
  const { body } = await counter.call("POST", "payments/reconciliations", { repair: true });
  await counter.run("payments.reconcile");
  const run = await counter.call("GET", `payments/reconciliations/${body.runId}`);
  expect(run.body).toMatchObject({ failure: expect.stringContaining("card-b"), findings: [] });
});
