import { optimistically, waitingAtMost } from "@onsale/lock";
import type { Transaction } from "@onsale/postgres";
import { type Figures, type Ground, type Lab, meeting, onPostgres, sold, untilWaiting } from "./lab.ts";
import { claim, lock, read, write, writeVersion } from "./pool.ts";

/** Two read 99 coupons into their heads before either has written: one of the two sales is forgotten. */
export const lostUpdate: Lab = {
  name: "lost update",
  harm: "lost",
  without: onPostgres(unlocked),
  cures: { "row lock": onPostgres(rowLock), version: onPostgres(versioned) },
};

async function unlocked(ground: Ground, pool: string): Promise<Figures> {
  const bothHaveRead = meeting(2);
  const buy = (buyer: string) =>
    ground.database.transaction(async (tx) => {
      const { coupons } = await read(tx, pool);
      await bothHaveRead();
      await take(tx, pool, buyer, coupons);
    });
  await Promise.all([buy("one"), buy("other")]);
  return sold(ground, pool);
}

/** The other comes while the one is between reading and writing, and has to wait. */
async function rowLock(ground: Ground, pool: string): Promise<Figures> {
  let other: Promise<void> | undefined;
  const buy = (buyer: string, meanwhile: () => Promise<void>) =>
    ground.database.transaction(async (tx) => {
      const { coupons } = await waitingAtMost(tx, { what: pool, waitMs: 10_000 }, () => lock(tx, pool));
      await meanwhile();
      await take(tx, pool, buyer, coupons);
    });
  await buy("one", async () => {
    other = buy("other", async () => undefined);
    await untilWaiting(ground);
  });
  await other;
  return sold(ground, pool);
}

/** Both read the same version; whoever writes second finds another one, and decides again. */
async function versioned(ground: Ground, pool: string): Promise<Figures> {
  const bothHaveRead = meeting(2);
  let decidedAgain = -2;
  const buy = (buyer: string) =>
    optimistically({
      what: pool,
      read: () => read(ground.database, pool),
      async write({ coupons, version }) {
        decidedAgain++;
        await bothHaveRead();
        return await ground.database.transaction(async (tx) => {
          if (!(await writeVersion(tx, pool, coupons - 1, version))) return undefined;
          return await claim(tx, pool, buyer);
        });
      },
    });
  await Promise.all([buy("one"), buy("other")]);
  return { ...(await sold(ground, pool)), decidedAgain };
}

async function take(tx: Transaction, pool: string, buyer: string, coupons: number): Promise<void> {
  await write(tx, pool, coupons - 1);
  await claim(tx, pool, buyer);
}
