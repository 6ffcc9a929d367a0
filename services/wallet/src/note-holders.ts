import type { accountRegistered, accountRoleChanged } from "@onsale/contracts/accounts";
import type { Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { storeHolders } from "./store/holder.ts";

/**
 * Notes who has an account: only they can have points, and of them only customers earn some. Of what a batch tells of one
 * account the last counts.
 */
export async function noteHolders(
  tx: Transaction,
  told: readonly Delivered<typeof accountRegistered | typeof accountRoleChanged>[],
): Promise<void> {
  const earns = new Map(told.map(({ data }) => [data.accountId, data.role === "customer"]));
  await storeHolders(
    tx,
    [...earns].map(([personId, earns]) => ({ personId, earns })),
  );
}
