import type { BuyerId } from "@onsale/contracts/ids";
import { array, as, boolean, type Queryable, sql, type Transaction, uuid } from "@onsale/postgres";

const storeHoldersSql = sql("wallet.store-holders", {
  takes: [array(as<BuyerId>(uuid)), array(boolean)],
  gives: {},
})`
  insert into wallet.holder (person_id, earns) select person_id, earns
  from unnest($1::uuid[], $2::boolean[]) as registered(person_id, earns) on conflict (person_id) do update set earns = excluded.earns`;

/** Writes who has an account, and so may have points; each person once. */
export async function storeHolders(
  tx: Transaction,
  holders: readonly { readonly personId: BuyerId; readonly earns: boolean }[],
): Promise<void> {
  await tx.execute(storeHoldersSql, [holders.map(({ personId }) => personId), holders.map(({ earns }) => earns)]);
}

const isHolderSql = sql("wallet.is-holder", { takes: [as<BuyerId>(uuid)], gives: { personId: as<BuyerId>(uuid) } })`
  select person_id as "personId" from wallet.holder where person_id = $1`;

export const isHolder = async (queryable: Queryable, personId: BuyerId): Promise<boolean> =>
  (await queryable.query(isHolderSql, [personId])).length === 1;

const earnersSql = sql("wallet.earners", {
  takes: [array(as<BuyerId>(uuid))],
  gives: { personId: as<BuyerId>(uuid) },
})`
  select person_id as "personId" from wallet.holder where person_id = any($1::uuid[]) and earns`;

/** Those of the buyers who earn points: customers, no guests. */
export async function earnersAmong(tx: Transaction, buyerIds: readonly BuyerId[]): Promise<ReadonlySet<BuyerId>> {
  if (buyerIds.length === 0) return new Set();
  const rows = await tx.query(earnersSql, [[...new Set(buyerIds)]]);
  return new Set(rows.map(({ personId }) => personId));
}
