import type { BuyerId } from "@onsale/contracts/ids";
import type { ServiceContext } from "@onsale/runtime";
import { lockAccount } from "./store/account.ts";
import { endSessions } from "./store/session.ts";

/** Ends all sessions of a person but the one that is kept. Gives how many they were. */
export const endOtherSessions = (
  { database }: Pick<ServiceContext, "database">,
  accountId: BuyerId,
  kept: string | null,
): Promise<number> =>
  database.transaction(async (tx) => {
    // A log-in at this moment is before it, and ended, or after it.
    await lockAccount(tx, accountId);
    return await endSessions(tx, accountId, kept);
  });
