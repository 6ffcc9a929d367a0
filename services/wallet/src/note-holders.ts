import type { accountRegistered } from "@onsale/contracts/accounts";
import type { Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { insertHolders } from "./store/holder.ts";

/** Notes who has an account: only they can have points, and of them only customers earn some. */
export async function noteHolders(
  tx: Transaction,
  registered: readonly Delivered<typeof accountRegistered>[],
): Promise<void> {
  await insertHolders(
    tx,
    registered
      .filter(({ data }) => data.role !== "guest")
      .map(({ data }) => ({ personId: data.accountId, earns: data.role === "customer" })),
  );
}
