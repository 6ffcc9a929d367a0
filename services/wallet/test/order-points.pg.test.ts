import { accountRegistered, accountRoleChanged } from "@onsale/contracts/accounts";
import { stockReserved } from "@onsale/contracts/inventory";
import { orderWithdrawn } from "@onsale/contracts/orders";
import { paymentDeclined } from "@onsale/contracts/payments";
import { later } from "@onsale/contracts/time";
import { type Database, databaseNow, sql } from "@onsale/postgres";
import { eventOf, type TestDatabase, testDatabase } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { expirePoints } from "../src/expire-points.ts";
import { graceMs } from "../src/purse.ts";
import {
  books,
  buyerId,
  charge,
  confirmed,
  content,
  ends,
  hear,
  ledger,
  lots,
  orderId,
  payable,
  register,
  returned,
  states,
  told,
  withdrawn,
} from "./books.ts";

let own: TestDatabase;
let shop: Database;
beforeEach(async () => {
  own = await testDatabase(content);
  shop = own.open("wallet");
});
afterEach(() => own.close());

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const hold = (...events: ReturnType<typeof payable>[]) => hear(shop, "hold-points", events);
const confirm = (...events: ReturnType<typeof confirmed>[]) => hear(shop, "confirm-points", events);
const withdraw = (...numbers: number[]) => hear(shop, "release-points", numbers.map(withdrawn));
const giveBack = (...events: ReturnType<typeof returned>[]) => hear(shop, "give-back-points", events);
const dues = (pointsMinor: number) =>
  ({
    buyerId: buyerId(1),
    method: pointsMinor > 0 ? "split" : "card",
    cardMinor: 10,
    pointsMinor,
    currency: "GBP",
  }) as const;
const day = 24 * 3_600_000;

describe("holding", () => {
  test("hundreds of orders of one wallet in one batch: as many as it can pay, in the order in which they came", async () => {
    await charge(shop, 1_000);
    await hold(...range(1, 300).map((number) => payable(number, 10)));
    expect(await books(shop)).toEqual({ 1: [0, 1_000, 0] });
    const after = await states(shop);
    expect(range(1, 300).filter((number) => after[number] === "HELD")).toEqual(range(1, 100));
    expect((await told(shop)).slice(99, 102)).toEqual([
      "points.held 100 10",
      "points.refused 101",
      "points.refused 102",
    ]);
  });

  test("who never had points, as a guest, is refused", async () => {
    await hold(payable(1, 10, { buyer: 9 }));
    expect(await told(shop)).toEqual(["points.refused 1"]);
    expect(await books(shop)).toEqual({});
  });

  test("the same order again, even past the inbox, holds once", async () => {
    await charge(shop, 100);
    await hold(payable(1, 40));
    await hold(payable(1, 40));
    await hear(shop, "hold-points", [
      { ...payable(1, 40), sequence: 7 },
      { ...payable(2, 40), sequence: 7 },
    ]);
    expect(await books(shop)).toEqual({ 1: [20, 80, 0] });
    expect(await told(shop)).toEqual(["points.held 1 40", "points.held 2 40"]);
  });

  test("batches over crossed wallets both finish, and no point is held twice", async () => {
    const buyers = range(1, 20);
    for (const buyer of buyers) await charge(shop, 60, { buyer });
    const other = own.open("wallet");
    const crossed = (first: number, order: number[]) =>
      order.map((buyer, index) => payable(first + index, 50, { buyer }));
    await Promise.all([
      hear(shop, "hold-points", crossed(100, buyers)),
      hear(other, "hold-points", crossed(200, [...buyers].reverse())),
    ]);
    expect(await books(shop)).toEqual(Object.fromEntries(buyers.map((buyer) => [buyer, [10, 50, 0]])));
  });
});

describe("an order's end", () => {
  test("confirmed: what was held is spent, once", async () => {
    await charge(shop, 100);
    await hold(payable(1, 40), payable(2, 30));
    await confirm(confirmed(1, { totalMinor: 40, pointsMinor: 40 }), confirmed(9, { totalMinor: 40 }));
    await hear(shop, "confirm-points", [{ ...confirmed(1, { totalMinor: 40, pointsMinor: 40 }), sequence: 8 }]);
    expect(await books(shop)).toEqual({ 1: [30, 30, 0] });
    expect(await told(shop)).toEqual(["points.held 1 40", "points.held 2 30", "points.spent 1 40"]);
    expect(await ledger(shop)).toEqual(["CREDITED 100", "HELD 40 1", "HELD 30 2", "SPENT 40 1"]);
  });

  test("withdrawn: held or spent, everything is back in the lots it came from", async () => {
    const soon = await charge(shop, 50, { name: "soon", expiresAt: "2099-01-01T00:00:00.000Z" });
    const late = await charge(shop, 50, { name: "late", expiresAt: "2099-02-01T00:00:00.000Z" });
    await hold(payable(1, 30), payable(2, 40), payable(3, 99));
    await confirm(confirmed(2, { totalMinor: 40, pointsMinor: 40 }));
    expect(await lots(shop)).toEqual({ [soon]: 0, [late]: 30 });
    await withdraw(1, 2, 3, 99);
    expect(await books(shop)).toEqual({ 1: [100, 0, 0] });
    expect(await lots(shop)).toEqual({ [soon]: 50, [late]: 50 });
    expect(await states(shop)).toEqual({ 1: "RELEASED", 2: "RELEASED", 3: "REFUSED" });
    expect((await told(shop)).slice(4)).toEqual([
      "points.released 1 30",
      "points.released 2 40",
      "points.released 3 0",
    ]);
  });

  test("where nobody leads: stock that is held asks, a decline gives back, and an end that is heard first keeps anything from being held", async () => {
    await charge(shop, 100);
    const reserved = (number: number, pointsMinor: number) =>
      eventOf(
        stockReserved,
        { orderId: orderId(number), dues: dues(pointsMinor) },
        { sequence: 1, source: "inventory" },
      );
    const over = eventOf(orderWithdrawn, { orderId: orderId(2), dues: dues(40) }, { sequence: 2 });
    const cardsOnly = eventOf(orderWithdrawn, { orderId: orderId(3), dues: dues(0) }, { sequence: 2 });
    await hear(shop, "release-points", [over, cardsOnly]);
    await hear(shop, "hold-points", [reserved(1, 30), reserved(2, 40), reserved(3, 0)]);
    expect(await states(shop)).toEqual({ 1: "HELD", 2: "REFUSED" });
    await hear(shop, "release-points", [
      eventOf(paymentDeclined, { orderId: orderId(1) }, { sequence: 2, source: "payments" }),
    ]);
    expect(await books(shop)).toEqual({ 1: [100, 0, 0] });
    expect(await told(shop)).toEqual(["points.released 2 0", "points.held 1 30", "points.released 1 30"]);
  });

  test("withdrawn again, or confirmed after it: nothing", async () => {
    await charge(shop, 50);
    await hold(payable(1, 30));
    await withdraw(1);
    await hear(shop, "release-points", [{ ...withdrawn(1), sequence: 99 }]);
    await hear(shop, "confirm-points", [{ ...confirmed(1, { totalMinor: 30, pointsMinor: 30 }), sequence: 98 }]);
    await hear(shop, "hold-points", [{ ...payable(1, 30), sequence: 99 }]);
    expect(await books(shop)).toEqual({ 1: [50, 0, 0] });
    expect(await told(shop)).toEqual(["points.held 1 30", "points.released 1 30"]);
  });

  test("what goes back to a lot that has ended lives a week longer", async () => {
    const now = await databaseNow(shop);
    const lot = await charge(shop, 50, { expiresAt: later(now, -1) });
    await hold(payable(1, 30, { time: later(now, -day) }));
    await withdraw(1);
    const end = (await ends(shop))[lot] ?? "";
    expect(Date.parse(end) - Date.parse(await databaseNow(shop))).toBeGreaterThan(graceMs - 60_000);
    expect(await books(shop)).toEqual({ 1: [50, 0, 0] });
  });
});

describe("returns", () => {
  test("points go back to the lot that was taken last, never more than the order had", async () => {
    const soon = await charge(shop, 50, { name: "soon", expiresAt: "2099-01-01T00:00:00.000Z" });
    const late = await charge(shop, 50, { name: "late", expiresAt: "2099-02-01T00:00:00.000Z" });
    await hold(payable(1, 80));
    await confirm(confirmed(1, { totalMinor: 80, pointsMinor: 80 }));
    await giveBack(returned(1, 1, { pointsMinor: 20 }), returned(1, 2, { pointsMinor: 30 }));
    expect(await lots(shop)).toEqual({ [soon]: 20, [late]: 50 });
    await giveBack(returned(1, 3, { pointsMinor: 1_000 }));
    expect(await books(shop)).toEqual({ 1: [100, 0, 0] });
    expect((await told(shop)).slice(2)).toEqual([
      "points.refunded 1 20",
      "points.refunded 1 30",
      "points.refunded 1 30",
    ]);
  });

  test("each return once; none of an order that has none any more; silence where there were no points", async () => {
    await charge(shop, 100);
    await hold(payable(1, 40), payable(2, 40));
    await confirm(confirmed(1, { totalMinor: 40, pointsMinor: 40 }), confirmed(2, { totalMinor: 40, pointsMinor: 40 }));
    await giveBack(returned(1, 1, { pointsMinor: 10 }));
    await hear(shop, "give-back-points", [{ ...returned(1, 1, { pointsMinor: 10 }), sequence: 50 }]);
    await withdraw(2);
    await giveBack(returned(2, 2, { pointsMinor: 10 }), returned(3, 3, { refundMinor: 10 }), returned(1, 4));
    expect(await books(shop)).toEqual({ 1: [70, 0, 0] });
    expect((await told(shop)).slice(4)).toEqual(["points.refunded 1 10", "points.released 2 40"]);
    await withdraw(1);
    expect(await books(shop)).toEqual({ 1: [100, 0, 0] });
    expect((await told(shop)).at(-1)).toBe("points.released 1 30");
  });
});

describe("earning", () => {
  test("one percent of what was paid with money, for customers, once", async () => {
    await register(shop, 1, 2);
    await charge(shop, 100);
    await hold(payable(1, 100));
    await confirm(
      confirmed(1, { totalMinor: 1_099, pointsMinor: 100 }),
      confirmed(2, { totalMinor: 5_000, buyer: 2 }),
      confirmed(3, { totalMinor: 5_000, buyer: 2 }),
      confirmed(4, { totalMinor: 99, buyer: 2 }),
      confirmed(5, { totalMinor: 5_000, buyer: 3 }),
    );
    await hear(shop, "confirm-points", [{ ...confirmed(2, { totalMinor: 5_000, buyer: 2 }), sequence: 9 }]);
    expect(await books(shop)).toEqual({ 1: [9, 0, 0], 2: [100, 0, 0] });
    expect(Object.keys(await lots(shop))).toHaveLength(3);
  });

  test("who has an account is heard, and who is a customer no longer earns nothing", async () => {
    const registered = [1, 2].map((buyer) =>
      eventOf(accountRegistered, { accountId: buyerId(buyer), role: "customer" }),
    );
    const changed = eventOf(accountRoleChanged, { accountId: buyerId(2), role: "operator" }, { sequence: 2 });
    await hear(shop, "note-holders", [...registered, changed]);
    await confirm(confirmed(1, { totalMinor: 100 }), confirmed(2, { totalMinor: 100, buyer: 2 }));
    expect(await books(shop)).toEqual({ 1: [1, 0, 0] });
  });

  test("no rate, no points", async () => {
    await register(shop, 1);
    await hear(shop, "confirm-points", [confirmed(1)], { earnedBasisPoints: 0 });
    expect(await books(shop)).toEqual({});
  });

  test("returns take back as much as the refunded money had earned, piece by piece as in one", async () => {
    await register(shop, 1);
    await confirm(confirmed(1, { totalMinor: 1_000 }), confirmed(2, { totalMinor: 1_000 }));
    await giveBack(...range(1, 3).map((back) => returned(1, back, { refundMinor: 333 })));
    await giveBack(returned(2, 9, { refundMinor: 999 }));
    expect(await books(shop)).toEqual({ 1: [0, 0, 0] });
    await withdraw(1, 2);
    expect(await books(shop)).toEqual({ 1: [0, 0, 0] });
    expect((await ledger(shop)).slice(2)).toEqual([
      "TAKEN_BACK 4 1",
      "TAKEN_BACK 3 1",
      "TAKEN_BACK 3 1",
      "TAKEN_BACK 10 2",
    ]);
  });

  test("what was earned and spent is owed after a cancellation, and paid by what comes in", async () => {
    await register(shop, 1);
    await confirm(confirmed(1, { totalMinor: 10_000 }));
    await hold(payable(2, 70));
    await confirm(confirmed(2, { totalMinor: 70, pointsMinor: 70 }));
    await withdraw(1);
    expect(await books(shop)).toEqual({ 1: [0, 0, 70] });
    await charge(shop, 100);
    expect(await books(shop)).toEqual({ 1: [30, 0, 0] });
    expect((await ledger(shop)).slice(3)).toEqual(["TAKEN_BACK 30 1", "OWED 70 1", "CREDITED 100", "REPAID 70"]);
  });
});

describe("points end", () => {
  const expire = async (limit = 100) => {
    await shop.execute(heardSql, []);
    return await shop.transaction((tx) => expirePoints(tx, limit));
  };

  test("with their lot, in bounded batches, what is held stays", async () => {
    const past = later(await databaseNow(shop), -1_000);
    for (const buyer of range(1, 5)) await charge(shop, 50, { buyer, expiresAt: past });
    await charge(shop, 10, { buyer: 1, name: "other" });
    await hold(payable(1, 20, { buyer: 2, time: later(past, -1_000) }));
    expect([await expire(3), await expire(3), await expire(3)]).toEqual([3, 2, 0]);
    expect(await books(shop)).toEqual({ 1: [10, 0, 0], 2: [0, 20, 0], 3: [0, 0, 0], 4: [0, 0, 0], 5: [0, 0, 0] });
  });

  test("not before everything was heard that orders told until then", async () => {
    const now = await databaseNow(shop);
    await charge(shop, 50, { expiresAt: later(now, -1_000) });
    expect(await shop.transaction((tx) => expirePoints(tx, 10))).toBe(0);
    await hold(payable(1, 50, { time: later(now, -2_000) }), payable(2, 50, { time: now }));
    expect(await states(shop)).toEqual({ 1: "HELD", 2: "REFUSED" });
  });

  test("two that end the same points at once end them once", async () => {
    const past = later(await databaseNow(shop), -1_000);
    for (const buyer of range(1, 20)) await charge(shop, 50, { buyer, expiresAt: past });
    await shop.execute(heardSql, []);
    const other = own.open("wallet");
    await Promise.all([shop, other].map((database) => database.transaction((tx) => expirePoints(tx, 100))));
    expect((await ledger(shop)).filter((line) => line.startsWith("EXPIRED"))).toHaveLength(20);
    await books(shop);
  });
});

const heardSql = sql("test.wallet-heard-all", { takes: [], gives: {} })`
  insert into wallet.reader_cursor (reader, source, lane, watermark, system_identifier)
  values ('wallet', 'orders', 'online', clock_timestamp(), 1)
  on conflict do nothing`;

test("the ledger is append-only, and no balance goes below zero whatever is written", async () => {
  await charge(shop, 10);
  for (const statement of [forgeSql, deleteSql])
    await expect(shop.execute(statement, [])).rejects.toThrow("permission denied");
  await expect(shop.execute(overdrawSql, [])).rejects.toThrow("violates check constraint");
  await expect(shop.execute(lopsidedSql, [])).rejects.toThrow("sums_to_zero");
});
const forgeSql = sql("test.wallet-forge", { takes: [], gives: {} })`update wallet.entry set available_minor = 1`;
const deleteSql = sql("test.wallet-delete", { takes: [], gives: {} })`delete from wallet.entry`;
const overdrawSql = sql("test.wallet-overdraw", {
  takes: [],
  gives: {},
})`update wallet.balance set available_minor = -1`;
const lopsidedSql = sql("test.wallet-lopsided", { takes: [], gives: {} })`
  insert into wallet.entry (kind, currency, available_minor, held_minor, debt_minor, voucher_minor, shop_minor, person_id)
  values ('CREDITED', 'GBP', 100, 0, 0, 0, 0, gen_random_uuid())`;
