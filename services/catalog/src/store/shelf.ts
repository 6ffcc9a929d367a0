import type { Sku } from "@onsale/contracts/ids";
import { array, as, bigint, boolean, sql, type Transaction, text } from "@onsale/postgres";
import type { ShelfNews } from "../shelf.ts";

const storeNewsSql = sql("catalog.store-shelf-news", {
  takes: [array(as<Sku>(text)), array(boolean), array(bigint)],
  gives: {},
})`
  insert into catalog.shelf as shelf (sku, in_stock, sequence)
  select sku, in_stock, sequence from unnest($1::text[], $2::boolean[], $3::bigint[]) as news(sku, in_stock, sequence)
  on conflict (sku) do update set in_stock = excluded.in_stock, sequence = excluded.sequence
  where shelf.sequence < excluded.sequence`;

/** Stores news of distinct SKUs, in the order given; older news than what is stored changes nothing. */
export const storeNews = (tx: Transaction, news: readonly ShelfNews[]) =>
  tx.execute(storeNewsSql, [news.map((it) => it.sku), news.map((it) => it.inStock), news.map((it) => it.sequence)]);
