/** A till that takes money once per order: something to break off. */

import { defineEvent } from "@onsale/messaging";
import { bigint, type Database, integer, type Queryable, sql, text } from "@onsale/postgres";
import { Type } from "typebox";

export const service = { name: "till", migrations: new URL("./migrations/", import.meta.url) };

export const paid = defineEvent("bill.paid.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: Type.String(), cents: Type.Integer() }),
  sample: { orderId: "order-1", cents: 100 },
});

export const openSql = sql("till.open", { takes: [], gives: {} })`insert into till values ('main', 0)`;

export const receiptSql = sql("till.receipt", { takes: [text, integer], gives: { orderId: text } })`
  insert into receipt values ($1, $2) on conflict do nothing returning order_id as "orderId"`;

export const addSql = sql("till.add", { takes: [integer], gives: {} })`update till set cents = cents + $1`;

const stateSql = sql("till.state", { takes: [], gives: { cents: integer, receipts: bigint } })`
  select cents, (select count(*) from receipt) as receipts from till`;

export const open = async (database: Queryable): Promise<void> => void (await database.execute(openSql, []));

/** What is in the till, and how many receipts there are. */
export async function stateOf(database: Database): Promise<{ cents: number; receipts: number } | undefined> {
  const [row] = await database.query(stateSql, []);
  return row;
}
