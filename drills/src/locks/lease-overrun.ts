import { fence, type HeldLock, StaleTokenError } from "@onsale/lock";
import type { Database } from "@onsale/postgres";
import { type Figures, type Lab, onRedis, type RedisGround, sold } from "./lab.ts";
import { claim, read, write } from "./pool.ts";

// Short, since the next holder waits for its end; and not renewed, as by a process that is frozen.
const frozen = { waitMs: 10_000, leaseMs: 200, renewMs: 0 };
const awake = { waitMs: 10_000, leaseMs: 60_000 };

const seen = fence("lock_fence");

/** A holder is frozen for longer than its lease: when it goes on, somebody else has had the lock, and it writes all the same. */
export const leaseOverrun: Lab = {
  name: "lease overrun",
  harm: "lost",
  without: onRedis((ground, pool) => overrun(ground, pool, sell)),
  cures: { "fencing token": onRedis((ground, pool) => overrun(ground, pool, sellBehindFence)) },
};

type Sell = (database: Database, lock: HeldLock, sale: { buyer: string; coupons: number }) => Promise<boolean>;

async function overrun(ground: RedisGround, pool: string, sellOne: Sell): Promise<Figures> {
  const { database, redis } = ground;
  const slow = await redis.one.acquire(pool, frozen);
  const { coupons } = await read(database, pool);
  // Here the slow one stops. The next gets the lock when the lease is over, and sells.
  const next = await redis.other.acquire(pool, awake);
  const nextRead = await read(database, pool);
  await sellOne(database, next, { buyer: "next", coupons: nextRead.coupons });
  await next.release();
  // Here the slow one goes on, with what it had read.
  const slowSold = await sellOne(database, slow, { buyer: "slow", coupons });
  await slow.release();
  return { tokenOfSlow: slow.token, tokenOfNext: next.token, refused: slowSold ? 0 : 1, ...(await sold(ground, pool)) };
}

const sell: Sell = (database, { name }, { buyer, coupons }) =>
  database.transaction(async (tx) => {
    await write(tx, name, coupons - 1);
    await claim(tx, name, buyer);
    return true;
  });

const sellBehindFence: Sell = (database, lock, { buyer, coupons }) =>
  database
    .transaction(async (tx) => {
      await seen.pass(tx, lock);
      await write(tx, lock.name, coupons - 1);
      await claim(tx, lock.name, buyer);
      return true;
    })
    .catch((error) => {
      if (error instanceof StaleTokenError) return false;
      throw error;
    });
