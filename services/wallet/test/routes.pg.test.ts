import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  type Role,
  type TokenSigner,
} from "@onsale/http";
import { type Database, integer, sql, uuid } from "@onsale/postgres";
import { ids, silentLogger } from "@onsale/runtime";
import { type TestDatabase, testDatabase, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { creditWallet } from "../src/credit-wallet.ts";
import { wallet } from "../src/index.ts";
import { expireVouchers } from "../src/issue-vouchers.ts";
import { borneByTheShop } from "../src/lot.ts";
import { books, buyerId, confirmed, content, hear, ledger, orderId, payable, register, returned } from "./books.ts";

const realm = { issuer: "onsale", audience: "onsale" };

let own: TestDatabase;
let database: Database;
let tokens: TokenSigner;
let http: HttpServer;
const operator = 1_000;
/** Whether what accounts told up to now arrives in time. */
let accountsAreHeard = true;

beforeAll(async () => {
  own = await testDatabase(content);
  // As impatient as a test may be: a server's requests wait 300 ms.
  database = own.open("wallet", { lockTimeoutMs: 100, connections: 8 });
  tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  http = await createHttpServer({
    name: "wallet",
    version: "0",
    tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
    logger: silentLogger(),
  });
  const ports = { clock: { now: () => "2026-11-21T08:00:00.000Z" }, ids };
  wallet.routes(http, { database, ports, feeds: { passed: async () => accountsAreHeard } });
  await register(database, ...Array.from({ length: 30 }, (_, index) => index + 1));
});

afterAll(async () => {
  await http.close();
  await own.close();
});

let keys = 0;
interface Call {
  readonly as?: number;
  readonly role?: Role;
  readonly body?: object;
  readonly key?: string;
}
const call = async (
  method: "GET" | "POST" | "PUT",
  url: string,
  {
    as: person = operator,
    role = person === operator ? "operator" : "customer",
    body,
    key = `key ${++keys}`,
  }: Call = {},
) => {
  const token = await tokens.sign({ id: buyerId(person), role }, 60);
  const headers = { authorization: `Bearer ${token}`, ...(method === "POST" && { "idempotency-key": key }) };
  const answer = await http.inject({ method, url, headers, ...(body && { payload: body }) });
  return { status: answer.statusCode, headers: answer.headers, body: answer.json() };
};

const creditBody = (amountMinor: number) => ({ currency: "GBP", amountMinor, reason: "a parcel was late" });
const credit = (buyer: number, amountMinor: number, more: Call = {}) =>
  call("POST", `/v1/admin/wallets/${buyerId(buyer)}/credits`, { body: creditBody(amountMinor), ...more });
const balanceOf = async (buyer: number) => (await books(database))[buyer];

describe("credits", () => {
  test("are in the wallet, once however often the request comes, and can be read", async () => {
    const first = await credit(1, 500, { key: "once" });
    expect(first).toMatchObject({
      status: 201,
      body: { accountId: buyerId(1), amountMinor: 500, availableMinor: 500 },
    });
    expect(await credit(1, 500, { key: "once" })).toMatchObject({
      body: first.body,
      headers: { "idempotency-replayed": "true" },
    });
    expect(await call("GET", "/v1/wallet", { as: 1 })).toMatchObject({
      status: 200,
      body: { balances: [{ currency: "GBP", availableMinor: 500, heldMinor: 0, debtMinor: 0, endingSoonMinor: 0 }] },
    });
    expect(await balanceOf(1)).toEqual([500, 0, 0]);
  });

  test("three of 100, 100 and 300 at once through two channels, one of which takes no lock before: 500", async () => {
    const cacheLock = new Mutex();
    // The counter of the shop is another process, and knows nothing of the lock that the requests take in this one.
    const counter = own.open("wallet");
    const atTheCounter = (amountMinor: number) =>
      counter.transaction((tx) =>
        creditWallet(
          tx,
          {
            ...{ personId: buyerId(2), currency: "GBP", amountMinor, reason: "paid in", expiresAt: null },
            ...{ bearers: borneByTheShop, creditedBy: buyerId(operator) },
          },
          { ids },
        ),
      );
    const credits = await meanwhileHeld(2, 2, () =>
      Promise.all([
        cacheLock.run(() => retried(() => credit(2, 100))),
        cacheLock.run(() => retried(() => credit(2, 100))),
        atTheCounter(300),
      ]),
    );
    expect(credits).toMatchObject([{ status: 201 }, { status: 201 }, { kind: "credited" }]);
    expect(await balanceOf(2)).toEqual([500, 0, 0]);
  });

  test("adding what was read without the lock would lose some of them: the fault is there to be made", async () => {
    const read = async () => (await database.query(availableSql, [buyerId(4)]))[0]?.available ?? 0;
    await credit(4, 1);
    const seen = await Promise.all([100, 100, 300].map(async (amount) => (await read()) + amount));
    for (const after of seen) await database.execute(overwriteSql, [buyerId(4), after]);
    expect(await read()).toBe(301);
    await database.execute(overwriteSql, [buyerId(4), 1]);
  });

  test("a wallet that somebody holds is busy: a typed answer that says when to ask again, and changes nothing", async () => {
    await credit(3, 10);
    const busy = await meanwhileHeld(3, 0, () => credit(3, 90, { key: "busy" }));
    expect(busy).toMatchObject({
      status: 409,
      headers: { "retry-after": "1" },
      body: { code: "WALLET_BUSY", retryable: true },
    });
    expect(await balanceOf(3)).toEqual([10, 0, 0]);
    expect(await credit(3, 90, { key: "busy" })).toMatchObject({ status: 201, body: { availableMinor: 100 } });
  });

  test.each([
    [{ ...creditBody(0) }, 422],
    [{ ...creditBody(-5) }, 422],
    [{ ...creditBody(1.5) }, 422],
    [{ ...creditBody(10 ** 12 + 1) }, 422],
    [{ ...creditBody(10 ** 12) }, 422],
    [{ ...creditBody(5), currency: "gbp" }, 422],
    [{ ...creditBody(5), reason: "" }, 422],
    [{ ...creditBody(5), debtMinor: 1 }, 422],
    [{ ...creditBody(5), expiresAt: "2020-01-01T00:00:00.000Z" }, 422],
    [{ ...creditBody(5), bearers: [{ bearer: "brand", basisPoints: 9_999 }] }, 422],
    [{ ...creditBody(5), bearers: [1, 2].map(() => ({ bearer: "brand", basisPoints: 5_000 })) }, 422],
  ])("%j is refused and changes nothing", async (body, status) => {
    const before = await ledger(database);
    expect(await credit(1, 5, { body })).toMatchObject({ status, body: { code: expect.any(String) } });
    expect(await ledger(database)).toEqual(before);
  });

  test("nobody is given points whom accounts never told of", async () => {
    expect(await credit(999, 5)).toMatchObject({ status: 404, body: { code: "HOLDER_NOT_FOUND" } });
    expect(await call("GET", `/v1/admin/wallets/${buyerId(999)}`)).toMatchObject({ status: 404 });
  });

  test("whether accounts told of somebody is not known while they can't be heard", async () => {
    accountsAreHeard = false;
    onTestFinished(() => {
      accountsAreHeard = true;
    });
    const unheard = {
      status: 503,
      body: { code: "ACCOUNTS_UNHEARD", retryable: true },
      headers: { "retry-after": "1" },
    };
    expect(await credit(999, 5)).toMatchObject(unheard);
    expect(await credit(1, 5)).toMatchObject({ status: 201 });
  });
});

test("entries come the newest first, page by page, and each person's are their own", async () => {
  for (const amount of [1, 2, 3, 4, 5]) await credit(5, amount);
  const seen: number[] = [];
  let after: number | null = null;
  do {
    const url: string = `/v1/wallet/entries?limit=2${after === null ? "" : `&after=${after}`}`;
    const { body } = await call("GET", url, { as: 5 });
    seen.push(...body.entries.map(({ availableMinor }: { availableMinor: number }) => availableMinor));
    after = body.next;
  } while (after !== null);
  expect(seen).toEqual([5, 4, 3, 2, 1]);
  expect((await call("GET", "/v1/wallet/entries", { as: 6 })).body).toEqual({ entries: [], next: null });
});

describe("daily grants", () => {
  const terms = { currency: "GBP", amountMinor: 25, timeZone: "Pacific/Kiritimati", validDays: 30, isOpen: true };
  const set = (name: string, body: object = terms) => call("PUT", `/v1/admin/daily-grants/${name}`, { body });
  const take = (buyer: number, name: string, key?: string) =>
    call("POST", "/v1/wallet/daily-grants", { as: buyer, body: { name }, ...(key !== undefined && { key }) });

  test("are taken once a day, by twenty requests at once too", async () => {
    expect(await set("visit")).toMatchObject({ status: 200, body: { name: "visit" } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => retried(() => take(7, "visit"))));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(new Set(answers.filter(({ status }) => status !== 201).map(({ body }) => body.code))).toEqual(
      new Set(["GRANT_TAKEN_TODAY"]),
    );
    expect(await balanceOf(7)).toEqual([25, 0, 0]);
    expect((await call("GET", "/v1/wallet", { as: 7 })).body.balances).toMatchObject([{ endingSoonMinor: 25 }]);
  });

  test("another grant, and another person, are another matter", async () => {
    await set("visit");
    await take(8, "visit");
    await set("review");
    expect(await take(8, "review")).toMatchObject({ status: 201, body: { availableMinor: 50 } });
    expect(await take(9, "visit")).toMatchObject({ status: 201, body: { availableMinor: 25 } });
  });

  test("a replay is told what the first was told; one that is closed or unknown is not there", async () => {
    await set("visit");
    const first = await take(10, "visit", "again");
    expect(await take(10, "visit", "again")).toMatchObject({ status: 201, body: first.body });
    await set("closed", { ...terms, isOpen: false });
    expect(await take(10, "closed")).toMatchObject({ status: 404, body: { code: "GRANT_NOT_FOUND" } });
    expect(await take(10, "nothing")).toMatchObject({ status: 404 });
    expect(await set("visit", { ...terms, timeZone: "Mars/Base" })).toMatchObject({
      status: 422,
      body: { code: "TIME_ZONE_UNKNOWN" },
    });
  });
});

describe("gift vouchers", () => {
  const bearers = [
    { bearer: "brand", basisPoints: 7_000 },
    { bearer: "shop", basisPoints: 3_000 },
  ];
  const batchOf = (more: object = {}) => ({
    currency: "GBP",
    faceMinor: 1_000,
    count: 2,
    reason: "spring",
    bearers,
    ...more,
  });
  const issue = (more: object = {}, key?: string) =>
    call("POST", "/v1/admin/vouchers", { body: batchOf(more), ...(key !== undefined && { key }) });
  const redeem = (buyer: number, code: string, amountMinor?: number) =>
    call("POST", "/v1/wallet/vouchers/redeem", {
      as: buyer,
      body: { code, ...(amountMinor !== undefined && { amountMinor }) },
    });
  const batch = async (batchId: string) => (await call("GET", `/v1/admin/voucher-batches/${batchId}`)).body;

  test("are redeemed in parts until nothing is left", async () => {
    const { body } = await issue();
    const [code = ""] = body.codes;
    expect(await redeem(11, code, 400)).toMatchObject({ status: 201, body: { amountMinor: 400, remainingMinor: 600 } });
    expect(await redeem(12, code.toLowerCase().replaceAll("-", " "), 601)).toMatchObject({
      status: 422,
      body: { code: "VOUCHER_HAS_LESS", detail: "600 are left of it." },
    });
    expect(await redeem(12, code)).toMatchObject({ status: 201, body: { amountMinor: 600, remainingMinor: 0 } });
    expect(await redeem(12, code)).toMatchObject({ status: 409, body: { code: "VOUCHER_EMPTY" } });
    expect([await balanceOf(11), await balanceOf(12)]).toEqual([
      [400, 0, 0],
      [600, 0, 0],
    ]);
    expect(await batch(body.batchId)).toMatchObject({ openCount: 1, remainingMinor: 1_000, voucherCount: 2 });
  });

  test("of many who redeem one at once, each gets what is still there and no more", async () => {
    const { body } = await issue({ count: 1 });
    const answers = await Promise.all(
      [13, 14, 15, 16].map((buyer) => retried(() => redeem(buyer, body.codes[0], 300))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 422]);
    expect(await batch(body.batchId)).toMatchObject({ remainingMinor: 100 });
  });

  test("an order that used one tells who bears it, to the last minor unit, and gives back to its lot", async () => {
    const { body } = await issue({ count: 1, faceMinor: 333 });
    await redeem(17, body.codes[0]);
    await hear(database, "hold-points", [payable(1, 101, { buyer: 17 })]);
    await hear(database, "confirm-points", [confirmed(1, { totalMinor: 101, pointsMinor: 101, buyer: 17 })]);
    const order = async () => (await call("GET", `/v1/admin/wallet-orders/${orderId(1)}`)).body;
    expect(await order()).toMatchObject({
      state: "SPENT",
      parts: [
        {
          source: "VOUCHER",
          borneBy: [
            { bearer: "brand", amountMinor: 71 },
            { bearer: "shop", amountMinor: 30 },
          ],
        },
      ],
    });
    await hear(database, "give-back-points", [returned(1, 1, { pointsMinor: 51 })]);
    expect((await order()).parts).toMatchObject([
      { givenBackMinor: 51, borneBy: [{ amountMinor: 35 }, { amountMinor: 15 }] },
    ]);
    expect((await call("GET", `/v1/admin/wallets/${buyerId(17)}`)).body).toMatchObject({
      balances: [{ availableMinor: 283 }],
      lots: [{ source: "VOUCHER", remainingMinor: 283, bearers }],
    });
  });

  test("codes are shown once and stored nowhere; a batch can be called back, but not what was redeemed", async () => {
    const { body } = await issue({}, "a batch");
    const [used = "", unused = ""] = body.codes;
    expect(body.codes).toHaveLength(2);
    expect(used).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/);
    expect((await issue({}, "a batch")).body).toEqual({ ...body, codes: [] });
    expect(await database.query(leakSql, [])).toEqual([{ leaks: 0 }]);
    await redeem(18, used, 400);
    const voided = () => call("POST", `/v1/admin/voucher-batches/${body.batchId}/void`);
    expect([(await voided()).body, (await voided()).body]).toEqual([{ voidedMinor: 1_600 }, { voidedMinor: 0 }]);
    expect(await redeem(18, unused)).toMatchObject({ status: 409, body: { code: "VOUCHER_EMPTY" } });
    expect(await balanceOf(18)).toEqual([400, 0, 0]);
  });

  test("one whose time has passed is refused, and its rest ends by the job", async () => {
    const { body } = await issue({ expiresAt: "2999-01-01T00:00:00.000Z", count: 1 });
    await database.execute(endBatchSql, [body.batchId]);
    expect(await redeem(19, body.codes[0])).toMatchObject({ status: 409, body: { code: "VOUCHER_ENDED" } });
    expect(await database.transaction((tx) => expireVouchers(tx, 10))).toBe(1);
    expect((await ledger(database)).at(-1)).toBe("VOUCHER_EXPIRED 1000");
    expect(await issue({ expiresAt: "2020-01-01T00:00:00.000Z" })).toMatchObject({ status: 422 });
  });

  test("a code that nobody was given is not there", async () => {
    expect(await redeem(19, "00000-00000-00000-00000")).toMatchObject({
      status: 404,
      body: { code: "VOUCHER_NOT_FOUND" },
    });
  });
});

describe("who may do what", () => {
  test("a guest has no wallet", async () => {
    const guest = { as: 20, role: "guest" } as const;
    for (const url of ["/v1/wallet", "/v1/wallet/entries"])
      expect(await call("GET", url, guest)).toMatchObject({ status: 403, body: { code: "GUEST_HAS_NO_WALLET" } });
    expect(await call("POST", "/v1/wallet/daily-grants", { ...guest, body: { name: "visit" } })).toMatchObject({
      status: 403,
    });
    expect(
      await call("POST", "/v1/wallet/vouchers/redeem", { ...guest, body: { code: "00000-00000-00000-00000" } }),
    ).toMatchObject({ status: 403 });
  });

  test("a customer is no operator", async () => {
    for (const role of ["guest", "customer"] as const) {
      expect(await credit(1, 5, { as: 1, role })).toMatchObject({ status: 403 });
      expect(await call("POST", "/v1/admin/vouchers", { as: 1, role, body: {} })).toMatchObject({ status: 403 });
      expect(await call("GET", `/v1/admin/wallets/${buyerId(1)}`, { as: 1, role })).toMatchObject({ status: 403 });
    }
  });
});

/** One at a time, in this process. */
class Mutex {
  #last: Promise<unknown> = Promise.resolve();
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** As a client does: what is busy is asked again. */
async function retried<Answer extends { status: number; body: { code?: string } }>(
  ask: () => Promise<Answer>,
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask();
    if (answer.body.code !== "WALLET_BUSY" || attempt === 20) return answer;
  }
}

/** Does the work while somebody holds that buyer's balance; lets go when so many wait for it, or with 0 when the work is done. */
async function meanwhileHeld<Result>(buyer: number, waiters: number, work: () => Promise<Result>): Promise<Result> {
  const holding = own.open("wallet");
  let result: Promise<Result> | undefined;
  await holding.transaction(async (tx) => {
    await tx.execute(holdBalanceSql, [buyerId(buyer)]);
    result = work();
    if (waiters === 0) await result;
    else
      await waitFor(async () => ((await holding.query(waitingSql, []))[0]?.waiting ?? 0) >= waiters, {
        what: "waiters",
      });
  });
  if (result === undefined) throw new Error("The work was not begun.");
  return await result;
}

const holdBalanceSql = sql("test.wallet-hold-balance", { takes: [uuid], gives: {} })`
  insert into wallet.balance (person_id, currency) values ($1, 'GBP')
  on conflict (person_id, currency) do update set held_minor = balance.held_minor`;
const waitingSql = sql("test.wallet-waiting", { takes: [], gives: { waiting: integer } })`
  select count(distinct pid)::int as waiting from pg_locks
  where not granted and database = (select oid from pg_database where datname = current_database())
    or (not granted and locktype = 'transactionid')`;
const availableSql = sql("test.wallet-available", { takes: [uuid], gives: { available: integer } })`
  select available_minor::int as available from wallet.balance where person_id = $1`;
const overwriteSql = sql("test.wallet-overwrite", { takes: [uuid, integer], gives: {} })`
  update wallet.balance set available_minor = $2 where person_id = $1`;
const endBatchSql = sql("test.wallet-end-batch", { takes: [uuid], gives: {} })`
  update wallet.voucher set expires_at = clock_timestamp() - interval '1 second' where batch_id = $1`;
const leakSql = sql("test.wallet-leak", { takes: [], gives: { leaks: integer } })`
  select count(*)::int as leaks from wallet.idempotency_record where body like '%"codes"%'`;
