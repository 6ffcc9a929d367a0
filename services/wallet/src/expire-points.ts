import type { Transaction } from "@onsale/postgres";
import { lockPurses, purseOfLotsPastTheirEnd, storePurses } from "./store/purse.ts";
import { telemetry } from "./telemetry.ts";

/** Ends points whose time has passed, the longest past first, `limit` lots or few more; returns how many were found. */
export async function expirePoints(tx: Transaction, limit: number): Promise<number> {
  const due = await purseOfLotsPastTheirEnd(tx, limit);
  const [first] = due;
  if (first === undefined) return 0;
  const purses = await lockPurses(tx, due);
  // Somebody may have taken the points, or ended them, before the locks were held: only what is still there ends.
  for (const purse of purses.all()) purse.expire(first.before);

  await storePurses(tx, purses);
  tx.afterCommit(() => telemetry.pointsExpired({ count: due.length }));
  return due.length;
}
