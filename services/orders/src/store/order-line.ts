import type { OrderId, Sku } from "@onsale/contracts/ids";
import { array, as, bigint, integer, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";

/** One line of an order. Quantities in pieces. */
export interface StoredLine {
  readonly sku: Sku;
  readonly position: number;
  readonly quantity: number;
  readonly unitPriceMinor: number;
  readonly returnedQuantity: number;
}

export type NewLine = Omit<StoredLine, "returnedQuantity"> & { readonly orderId: OrderId };

const insertLinesSql = sql("orders.insert-lines", {
  takes: [array(uuid), array(text), array(integer), array(integer), array(bigint)],
  gives: {},
})`
  insert into orders.order_line (order_id, sku, position, quantity, unit_price_minor)
  select order_id, sku, position, quantity, unit_price_minor
  from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::bigint[])
    as line(order_id, sku, position, quantity, unit_price_minor)`;

export async function insertLines(tx: Transaction, lines: readonly NewLine[]): Promise<void> {
  await tx.execute(insertLinesSql, [
    lines.map((line) => line.orderId),
    lines.map((line) => line.sku),
    lines.map((line) => line.position),
    lines.map((line) => line.quantity),
    lines.map((line) => line.unitPriceMinor),
  ]);
}

const readLinesSql = sql("orders.read-lines", {
  takes: [uuid],
  gives: {
    sku: as<Sku>(text),
    position: integer,
    quantity: integer,
    unitPriceMinor: bigint,
    returnedQuantity: integer,
  },
})`
  select sku, position, quantity, unit_price_minor as "unitPriceMinor", returned_quantity as "returnedQuantity"
  from orders.order_line where order_id = $1`;

/** The lines of one order, in the order in which they were asked for. */
export async function readLines(queryable: Queryable, orderId: OrderId): Promise<StoredLine[]> {
  return (await queryable.query(readLinesSql, [orderId])).sort((a, b) => a.position - b.position);
}

const addReturnedSql = sql("orders.add-returned", { takes: [uuid, array(text), array(integer)], gives: {} })`
  update orders.order_line
  set returned_quantity = order_line.returned_quantity + returned.quantity
  from unnest($2::text[], $3::int[]) as returned(sku, quantity)
  where order_line.order_id = $1 and order_line.sku = returned.sku`;

/** Counts units as returned. The caller holds the order's lock. */
export async function addReturned(
  tx: Transaction,
  orderId: OrderId,
  lines: readonly { readonly sku: Sku; readonly quantity: number }[],
): Promise<void> {
  await tx.execute(addReturnedSql, [orderId, lines.map((line) => line.sku), lines.map((line) => line.quantity)]);
}
