import { lockedTransaction, waitingAtMost } from "@onsale/lock";
import type { Transaction } from "@onsale/postgres";
import { type Figures, type Ground, type Lab, meeting, onPostgres, onRedis, type RedisGround, sold } from "./lab.ts";
import { claim, coupons, lock, read, write } from "./pool.ts";

/** As many buyers as coupons. */
const buyers = Array.from({ length: coupons }, (_, index) => `buyer ${index + 1}`);

/** How many of them are at it at the same time: as many as a server of the shop has connections. */
export const atOnce = 20;

/** A hundred buyers for a hundred coupons: each believes to have one, and most coupons are still there. */
export const crowd: Lab = {
  name: "100 buyers for 100 coupons",
  harm: "lost",
  without: onPostgres(unlocked),
  cures: { "row lock": onPostgres(rowLock), "redis lock": onRedis(redisLock) },
};

/** Those who come together read together, as they do when they are as quick as one another. */
async function unlocked(ground: Ground, pool: string): Promise<Figures> {
  for (let first = 0; first < buyers.length; first += atOnce) {
    const wave = buyers.slice(first, first + atOnce);
    const allHaveRead = meeting(wave.length);
    await Promise.all(
      wave.map((buyer) =>
        ground.database.transaction(async (tx) => {
          const { coupons: left } = await read(tx, pool);
          await allHaveRead();
          await take(tx, pool, buyer, left);
        }),
      ),
    );
  }
  return sold(ground, pool);
}

// The last of the crowd waits for all others.
const waitMs = 30_000;

async function rowLock(ground: Ground, pool: string): Promise<Figures> {
  await Promise.all(
    buyers.map((buyer) =>
      ground.database.transaction(async (tx) => {
        const { coupons: left } = await waitingAtMost(tx, { what: pool, waitMs }, () => lock(tx, pool));
        await take(tx, pool, buyer, left);
      }),
    ),
  );
  return sold(ground, pool);
}

/** Half of them in another process. */
async function redisLock(ground: RedisGround, pool: string): Promise<Figures> {
  const { database, redis } = ground;
  await Promise.all(
    buyers.map((buyer, index) =>
      lockedTransaction(
        { database, locks: index % 2 === 0 ? redis.one : redis.other },
        { name: pool, waitMs },
        async (tx) => take(tx, pool, buyer, (await read(tx, pool)).coupons),
      ),
    ),
  );
  return sold(ground, pool);
}

async function take(tx: Transaction, pool: string, buyer: string, left: number): Promise<void> {
  await write(tx, pool, left - 1);
  await claim(tx, pool, buyer);
}
