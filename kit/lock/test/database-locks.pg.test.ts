import {
  ConflictError,
  fence,
  LockTimeoutError,
  lockKeys,
  openSessionLock,
  optimistically,
  StaleTokenError,
  waitingAtMost,
} from "@onsale/lock";
import { type Database, isLockTimeout } from "@onsale/postgres";
import { type TestDatabase, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fill, lockSql, poolDatabase, read, takeOne, waitersSql, waitSql, writeVersionSql } from "./pool.ts";

let own: TestDatabase;
let database: Database;
beforeAll(async () => {
  own = await poolDatabase();
  database = own.open("pool", { connections: 8 });
});
afterAll(() => own.close());

/** Runs `work` while another transaction holds what `hold` locked. */
async function whileHeld(
  hold: (tx: Parameters<Parameters<Database["transaction"]>[0]>[0]) => Promise<unknown>,
  work: () => Promise<void>,
) {
  await database.transaction(async (tx) => {
    await hold(tx);
    await work();
  });
}

describe("a row lock with a bounded wait", () => {
  test("is a typed timeout that may be tried again; the transaction's own bound is as before", async () => {
    await fill(database, "rows", 1);
    const lock = { what: "pool rows", waitMs: 20 };
    await whileHeld(
      (tx) => tx.query(lockSql, ["rows"]),
      async () => {
        const failed = await database
          .transaction((tx) => waitingAtMost(tx, lock, () => tx.query(lockSql, ["rows"])))
          .catch((error) => error);
        expect(failed).toBeInstanceOf(LockTimeoutError);
        expect(failed).toMatchObject({ retryable: true, what: "pool rows", waitMs: 20 });
        expect(isLockTimeout(failed)).toBe(true);
      },
    );
    await database.transaction(async (tx) => {
      expect(await waitingAtMost(tx, lock, () => tx.query(lockSql, ["rows"]))).toEqual([{ coupons: 1 }]);
      expect(await tx.query(waitSql, [])).toEqual([{ wait: "0" }]);
    });
  });

  test("a wait without a bound is refused, since PostgreSQL takes 0 for ever", async () => {
    const endless = database.transaction((tx) => waitingAtMost(tx, { what: "it", waitMs: 0 }, async () => undefined));
    await expect(endless).rejects.toThrow(RangeError);
  });
});

describe("an optimistic update", () => {
  const takeByVersion = (name: string, attempts?: number) =>
    optimistically({
      what: name,
      read: () => read(database, name),
      write: async ({ coupons, version }) =>
        (await database.execute(writeVersionSql, [name, coupons - 1, version])) === 1 ? coupons - 1 : undefined,
      ...(attempts !== undefined && { attempts }),
    });

  test("loses nothing, however many come at once", async () => {
    await fill(database, "versions", 10);
    await Promise.all(Array.from({ length: 10 }, () => takeByVersion("versions", 50)));
    expect(await read(database, "versions")).toEqual({ coupons: 0, version: 11 });
  });

  test("has a bound, and says that it may be tried again", async () => {
    let attempts = 0;
    const beaten = optimistically({
      what: "the pool",
      read: async () => ++attempts,
      write: async () => undefined,
      attempts: 3,
    });
    await expect(beaten).rejects.toThrow(ConflictError);
    await expect(beaten).rejects.toMatchObject({ retryable: true });
    expect(attempts).toBe(3);
  });
});

describe("an advisory lock", () => {
  test("of a transaction lets one in at a time, and goes with it", async () => {
    await fill(database, "names", 6);
    await Promise.all(
      Array.from({ length: 6 }, () =>
        database.transaction(async (tx) => {
          await lockKeys(tx, ["pool names"], { waitMs: 10_000 });
          await takeOne(tx, "names");
        }),
      ),
    );
    expect(await read(database, "names")).toMatchObject({ coupons: 0 });
  });

  test("names are locked in one order, whatever order they are given in", async () => {
    const lockBoth = (keys: string[]) =>
      database.transaction((tx) => lockKeys(tx, keys, { waitMs: 10_000 }), { attempts: 1 });
    await Promise.all(Array.from({ length: 20 }, (_, index) => lockBoth(index % 2 === 0 ? ["a", "b"] : ["b", "a"])));
  });

  test("is a typed timeout", async () => {
    await whileHeld(
      (tx) => lockKeys(tx, ["held"], { waitMs: 1_000 }),
      async () => {
        const late = database.transaction((tx) => lockKeys(tx, ["held"], { waitMs: 20 }));
        await expect(late).rejects.toThrow(LockTimeoutError);
      },
    );
  });

  test("of a session outlives transactions, and ends with its connection, of which the holder hears", async () => {
    const session = { url: own.adminUrl, key: "leader", applicationName: "a leader" };
    const held = await openSessionLock({ ...session, waitMs: 1_000 });
    await expect(openSessionLock({ ...session, waitMs: 20 })).rejects.toThrow(LockTimeoutError);
    const lost = new Promise((resolve) => held.lost.addEventListener("abort", resolve));
    const next = openSessionLock({ ...session, waitMs: 20_000 });
    await waitFor(async () => (await database.query(waitersSql, []))[0]?.waiters === 1);
    await held.release();
    await using _ = await next;
    await lost;
  });
});

describe("a fence", () => {
  const seen = fence("lock_fence");
  const pass = (name: string, token: number) => database.transaction((tx) => seen.pass(tx, { name, token }));

  test("lets through who is as new as the newest seen, and refuses who is older", async () => {
    await pass("coupons", 7);
    await pass("coupons", 7);
    await pass("coupons", 9);
    await expect(pass("coupons", 8)).rejects.toThrow(StaleTokenError);
    await pass("others", 1);
  });

  test("what a refused transaction wrote is undone with it", async () => {
    await fill(database, "fenced", 5);
    await pass("fenced", 2);
    const overrun = database.transaction(async (tx) => {
      await takeOne(tx, "fenced");
      await seen.pass(tx, { name: "fenced", token: 1 });
    });
    await expect(overrun).rejects.toThrow(StaleTokenError);
    expect(await read(database, "fenced")).toMatchObject({ coupons: 5 });
  });

  test("an older one that is inside is waited for; one that comes while a newer one is inside is refused after it", async () => {
    let older: Promise<void> | undefined;
    await database.transaction(async (tx) => {
      await seen.pass(tx, { name: "queue", token: 5 });
      older = pass("queue", 4);
      older.catch(() => undefined);
      await waitFor(async () => (await database.query(waitersSql, []))[0]?.waiters === 1);
    });
    await expect(older).rejects.toThrow(StaleTokenError);
  });
});
