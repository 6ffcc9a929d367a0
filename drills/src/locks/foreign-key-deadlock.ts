import { sqlState, type Transaction } from "@onsale/postgres";
import { type Figures, type Ground, type Lab, meeting, onPostgres, untilWaiting } from "./lab.ts";
import { claim, claims, lock, lockWeakly, type Pool } from "./pool.ts";

/**
 * A claim is inserted, and its foreign key takes a shared lock on the pool; then the pool is locked FOR UPDATE to be counted
 * down. Two who do so hold the shared lock both, and wait for each other's.
 */
export const foreignKeyDeadlock: Lab = {
  name: "deadlock by foreign key",
  harm: "deadlocks",
  without: onPostgres((ground, pool) => childFirst(ground, pool, lock)),
  cures: {
    "parent first": onPostgres(parentFirst),
    // FOR NO KEY UPDATE, as a plain update takes it, gets along with the lock of a foreign key.
    "weaker lock": onPostgres((ground, pool) => childFirst(ground, pool, lockWeakly)),
  },
};

async function childFirst(
  ground: Ground,
  pool: string,
  lockParent: (tx: Transaction, pool: string) => Promise<Pool>,
): Promise<Figures> {
  const bothHaveClaimed = meeting(2);
  const buy = (buyer: string) =>
    attempt(ground, async (tx) => {
      await claim(tx, pool, buyer);
      await bothHaveClaimed();
      await lockParent(tx, pool);
    });
  return outcome(ground, pool, await Promise.all([buy("one"), buy("other")]));
}

/** The other comes while the one has locked the pool and not yet claimed. */
async function parentFirst(ground: Ground, pool: string): Promise<Figures> {
  let other: Promise<Ending> | undefined;
  const buy = (buyer: string, meanwhile: () => Promise<void>) =>
    attempt(ground, async (tx) => {
      await lock(tx, pool);
      await meanwhile();
      await claim(tx, pool, buyer);
    });
  const one = await buy("one", async () => {
    other = buy("other", async () => undefined);
    await untilWaiting(ground);
  });
  return outcome(ground, pool, [one, (await other) ?? "deadlock"]);
}

type Ending = "committed" | "deadlock";

/** Once: tried again, as transactions are by default, the victim would come through and nobody would see the deadlock. */
function attempt({ database }: Ground, work: (tx: Transaction) => Promise<void>): Promise<Ending> {
  return database.transaction(work, { attempts: 1 }).then(
    () => "committed",
    (error) => {
      if (sqlState(error) !== deadlockDetected) throw error;
      return "deadlock";
    },
  );
}

const deadlockDetected = "40P01";

async function outcome({ database }: Ground, pool: string, endings: readonly Ending[]): Promise<Figures> {
  return {
    deadlocks: endings.filter((ending) => ending === "deadlock").length,
    claims: await claims(database, pool),
  };
}
