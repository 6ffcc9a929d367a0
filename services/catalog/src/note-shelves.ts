import { type shelfEmptied, shelfRefilled } from "@onsale/contracts/inventory";
import type { Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { latestNews } from "./shelf.ts";
import { storeNews } from "./store/shelf.ts";

/** Notes which products can be had. */
export async function noteShelves(
  tx: Transaction,
  told: readonly Delivered<typeof shelfEmptied | typeof shelfRefilled>[],
): Promise<void> {
  await storeNews(
    tx,
    latestNews(
      told.map(({ data: { sku }, type, sequence }) => ({ sku, inStock: type === shelfRefilled.type, sequence })),
    ),
  );
}
