import type { Sku } from "@onsale/contracts/ids";
import { array, as, bigint, sql, type Transaction, text } from "@onsale/postgres";

/** What this service knows of a product. */
export interface KnownProduct {
  readonly sku: Sku;
  readonly priceMinor: number;
  readonly currency: string;
}

const readProductsSql = sql("orders.read-products", {
  takes: [array(text)],
  gives: { sku: as<Sku>(text), priceMinor: bigint, currency: text },
})`
  select sku, price_minor as "priceMinor", currency from orders.product where sku = any($1)`;

/** Products by SKU. One that is not known is absent. */
export async function readProducts(tx: Transaction, skus: readonly Sku[]): Promise<Map<Sku, KnownProduct>> {
  const rows = await tx.query(readProductsSql, [skus]);
  return new Map(rows.map((row) => [row.sku, row]));
}

const saveProductsSql = sql("orders.save-products", {
  takes: [array(text), array(bigint), array(text), array(bigint)],
  gives: {},
})`
  insert into orders.product (sku, price_minor, currency, sequence)
  select sku, price_minor, currency, sequence
  from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) as published(sku, price_minor, currency, sequence)
  on conflict (sku) do update
  set price_minor = excluded.price_minor, currency = excluded.currency, sequence = excluded.sequence
  where product.sequence < excluded.sequence`;

/** Keeps these products, each SKU once and in SKU order, where nothing later is known. */
export async function saveProducts(
  tx: Transaction,
  products: readonly (KnownProduct & { readonly sequence: number })[],
): Promise<void> {
  await tx.execute(saveProductsSql, [
    products.map((product) => product.sku),
    products.map((product) => product.priceMinor),
    products.map((product) => product.currency),
    products.map((product) => product.sequence),
  ]);
}
