import type { Sku } from "@onsale/contracts/ids";
import type { Currency, PriceMinor } from "@onsale/contracts/money";
import { as, bigint, boolean, type Database, integer, nullable, sql, type Transaction, text } from "@onsale/postgres";
import type { Product } from "../product.ts";

const insertProductSql = sql("catalog.insert-product", { takes: [as<Sku>(text), text, bigint, text], gives: {} })`
  insert into catalog.product (sku, name, price_minor, currency, version) values ($1, $2, $3, $4, 1)
  on conflict (sku) do nothing`;

/** False when there is a product with this SKU. */
export const insertProduct = async (tx: Transaction, { sku, name, priceMinor, currency }: Product): Promise<boolean> =>
  (await tx.execute(insertProductSql, [sku, name, priceMinor, currency])) === 1;

const lockProductSql = sql("catalog.lock-product", {
  takes: [as<Sku>(text)],
  gives: {
    sku: as<Sku>(text),
    name: text,
    priceMinor: as<PriceMinor>(bigint),
    currency: as<Currency>(text),
    version: integer,
  },
})`
  select sku, name, price_minor as "priceMinor", currency, version from catalog.product where sku = $1 for update`;

export const lockProduct = async (tx: Transaction, sku: Sku) => (await tx.query(lockProductSql, [sku]))[0];

const updateProductSql = sql("catalog.update-product", {
  takes: [as<Sku>(text), text, bigint, text, integer],
  gives: {},
})`
  update catalog.product set name = $2, price_minor = $3, currency = $4, version = $5, changed_at = now() where sku = $1`;

export const updateProduct = (tx: Transaction, { sku, name, priceMinor, currency }: Product, version: number) =>
  tx.execute(updateProductSql, [sku, name, priceMinor, currency, version]);

const shown = {
  sku: as<Sku>(text),
  name: text,
  priceMinor: as<PriceMinor>(bigint),
  currency: as<Currency>(text),
  inStock: boolean,
};

const readProductSql = sql("catalog.read-product", { takes: [as<Sku>(text)], gives: shown })`
  select p.sku, p.name, p.price_minor as "priceMinor", p.currency, coalesce(s.in_stock, false) as "inStock"
  from catalog.product p left join catalog.shelf s using (sku) where p.sku = $1`;

export const readProduct = async (database: Database, sku: Sku) => (await database.query(readProductSql, [sku]))[0];

const listProductsSql = sql("catalog.list-products", { takes: [nullable(as<Sku>(text)), bigint], gives: shown })`
  select p.sku, p.name, p.price_minor as "priceMinor", p.currency, coalesce(s.in_stock, false) as "inStock"
  from catalog.product p left join catalog.shelf s using (sku)
  where p.sku > coalesce($1, '') order by p.sku limit $2`;

/** Products in the order of their SKU's bytes, at most `limit`, beginning after `after`. */
export const listProducts = (database: Database, { after, limit }: { after: Sku | null; limit: number }) =>
  database.query(listProductsSql, [after, limit]);
