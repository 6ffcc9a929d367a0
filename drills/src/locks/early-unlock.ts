import { lockedTransaction, type RedisLocks } from "@onsale/lock";
import type { Transaction } from "@onsale/postgres";
import { type Figures, type Lab, onRedis, type RedisGround, sold } from "./lab.ts";
import { claim, read, write } from "./pool.ts";

// No lease of this length ends during a lab.
const locking = { waitMs: 10_000, leaseMs: 60_000 };

/** The lock is freed before the commit: the next holder reads what the commit is about to change. */
export const earlyUnlock: Lab = {
  name: "early unlock",
  harm: "lost",
  without: onRedis(beforeCommit),
  cures: { "unlock after commit": onRedis(afterCommit) },
};

async function beforeCommit(ground: RedisGround, pool: string): Promise<Figures> {
  const { database, redis } = ground;
  const nextHasRead = Promise.withResolvers<number>();
  const lock = await redis.one.acquire(pool, locking);
  let next: Promise<void> | undefined;
  await database.transaction(async (tx) => {
    await takeOne(tx, pool, "one");
    await lock.release();
    next = redis.other.acquire(pool, locking).then(async (held) => {
      await database.transaction((nextTx) => takeOne(nextTx, pool, "next", nextHasRead.resolve));
      await held.release();
    });
    // A failure of the next one ends the wait for it.
    await Promise.race([nextHasRead.promise, next]);
  });
  await next;
  return { readByNext: await nextHasRead.promise, ...(await sold(ground, pool)) };
}

async function afterCommit(ground: RedisGround, pool: string): Promise<Figures> {
  const { redis } = ground;
  let readByNext = 0;
  let next: Promise<void> | undefined;
  const buy = (locks: RedisLocks, buyer: string, hasRead: (left: number) => void) =>
    lockedTransaction({ database: ground.database, locks }, { name: pool, ...locking }, async (tx) => {
      await takeOne(tx, pool, buyer, hasRead);
    });
  await buy(redis.one, "one", () => {
    // It wants the lock before the one has written, and gets it when the one has committed.
    next = buy(redis.other, "next", (left) => {
      readByNext = left;
    });
  });
  await next;
  return { readByNext, ...(await sold(ground, pool)) };
}

async function takeOne(
  tx: Transaction,
  pool: string,
  buyer: string,
  hasRead: (left: number) => void = () => undefined,
): Promise<void> {
  const { coupons } = await read(tx, pool);
  hasRead(coupons);
  await write(tx, pool, coupons - 1);
  await claim(tx, pool, buyer);
}
