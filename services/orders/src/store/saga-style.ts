import { as, boolean, type Queryable, sql, type Transaction, text } from "@onsale/postgres";
import type { SagaStyle } from "../order-saga.ts";

const keepSql = sql("orders.keep-saga-style", { takes: [text], gives: { style: as<SagaStyle>(text) } })`
  insert into orders.saga_style (style) values ($1)
  on conflict (is_one) do update set style = saga_style.style
  returning style`;

/** The style in which the data was begun: this one, if it begins now. */
export async function keepSagaStyle(tx: Transaction, style: SagaStyle): Promise<SagaStyle> {
  const [row] = await tx.query(keepSql, [style]);
  return row?.style ?? style;
}

const isBegunSql = sql("orders.is-begun", { takes: [], gives: { isBegun: boolean } })`
  select to_regclass('orders.saga_style') is not null as "isBegun"`;
const styleSql = sql("orders.saga-style", { takes: [], gives: { style: as<SagaStyle>(text) } })`
  select style from orders.saga_style where is_one`;

/** Who leads the orders of a shop; one that has not begun yet is orchestrated unless it is told otherwise. */
export async function readSagaStyle(queryable: Queryable): Promise<SagaStyle> {
  const [known] = await queryable.query(isBegunSql, []);
  const [row] = known?.isBegun ? await queryable.query(styleSql, []) : [];
  return row?.style ?? "orchestrated";
}
