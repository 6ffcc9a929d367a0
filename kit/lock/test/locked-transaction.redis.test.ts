import { fence, LockLostError, lockedTransaction, RedisLocks, releaseAfterCommit, StaleTokenError } from "@onsale/lock";
import type { Database } from "@onsale/postgres";
import { requiresRedis, type TestDatabase, type TestRedis, testRedis, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fill, poolDatabase, read, takeOne } from "./pool.ts";

const long = { waitMs: 20_000, leaseMs: 600_000 };
const seen = fence("lock_fence");

describe.skipIf(!(await requiresRedis()))("a lock and a transaction", () => {
  let own: TestDatabase;
  let place: TestRedis;
  let database: Database;
  let locks: RedisLocks;
  let others: RedisLocks;
  beforeAll(async () => {
    [own, place] = await Promise.all([poolDatabase(), testRedis()]);
    database = own.open("pool", { connections: 8 });
    locks = new RedisLocks(place.open());
    others = new RedisLocks(place.open());
  });
  afterAll(() => Promise.all([own.close(), place[Symbol.asyncDispose]()]));

  test("a hundred buyers take a hundred coupons, none twice", async () => {
    await fill(database, "crowd", 100);
    const buy = (of: RedisLocks) =>
      lockedTransaction({ database, locks: of }, { name: "crowd", ...long }, async (tx, lock) => {
        await seen.pass(tx, lock);
        await takeOne(tx, "crowd");
      });
    await Promise.all(Array.from({ length: 100 }, (_, index) => buy(index % 2 === 0 ? locks : others)));
    expect(await read(database, "crowd")).toMatchObject({ coupons: 0 });
  });

  test("the lock is held until the commit is done, and free after a rollback at once", async () => {
    await fill(database, "after", 1);
    const order: string[] = [];
    let next: Promise<unknown> | undefined;
    const failing = lockedTransaction({ database, locks }, { name: "after", ...long }, async (tx) => {
      next = others.acquire("after", long).then((lock) => {
        order.push("the next has it");
        return lock.release();
      });
      await takeOne(tx, "after");
      order.push("work done");
      throw new Error("a change of mind");
    });
    await expect(failing).rejects.toThrow("a change of mind");
    await next;
    expect(order).toEqual(["work done", "the next has it"]);
    expect(await read(database, "after")).toMatchObject({ coupons: 1 });
  });

  test("in a transaction of somebody else's it is freed by the commit, or by its lease", async () => {
    await fill(database, "given", 2);
    const work = async (leaseMs: number, outcome: () => void) => {
      const lock = await locks.acquire("given", { waitMs: 20_000, leaseMs });
      return database.transaction(async (tx) => {
        releaseAfterCommit(tx, lock);
        await takeOne(tx, "given");
        outcome();
      });
    };
    await work(600_000, () => undefined);
    await (await others.acquire("given", long)).release();
    await expect(
      work(80, () => {
        throw new Error("rolled back");
      }),
    ).rejects.toThrow("rolled back");
    await (await others.acquire("given", long)).release();
    expect(await read(database, "given")).toMatchObject({ coupons: 1 });
  });

  test("who overran the lease is rolled back, and by the fence even when it does not look", async () => {
    await fill(database, "overrun", 5);
    const short = { name: "overrun", waitMs: 20_000, leaseMs: 40, renewMs: 0 };
    const slow = lockedTransaction({ database, locks }, short, async (tx, lock) => {
      await takeOne(tx, "overrun");
      await waitFor(() => lock.lost.aborted);
    });
    await expect(slow).rejects.toThrow(LockLostError);
    const paused = await locks.acquire("overrun", { ...short });
    await using next = await others.acquire("overrun", long);
    await database.transaction((tx) => seen.pass(tx, next));
    const late = database.transaction((tx) => seen.pass(tx, paused).then(() => takeOne(tx, "overrun")));
    await expect(late).rejects.toThrow(StaleTokenError);
    expect(await read(database, "overrun")).toMatchObject({ coupons: 5 });
  });
});
