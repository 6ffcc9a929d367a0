/** A small schema for trying the kit on: shelves with units. */

import { array, integer, type MigrationSet, nullable, type Queryable, sql, text } from "@onsale/postgres";

export const migrations: MigrationSet = { owner: "shelf", directory: new URL("./migrations/", import.meta.url) };

export const content = { schema: "shelf", sets: [migrations] };

export const putSql = sql("shelf.put", { takes: [array(text), array(integer)], gives: {} })`
  insert into shelf (sku, units) select * from unnest($1::text[], $2::int[])
  on conflict (sku) do update set units = excluded.units`;

export const addSql = sql("shelf.add", { takes: [text, integer], gives: { units: integer } })`
  update shelf set units = units + $2 where sku = $1 returning units`;

export const unitsSql = sql("shelf.units", { takes: [text], gives: { units: integer } })`
  select units from shelf where sku = $1`;

export const noteSql = sql("shelf.note", { takes: [text, nullable(text)], gives: {} })`
  update shelf set note = $2 where sku = $1`;

export const lockSql = sql("shelf.lock", { takes: [text], gives: { sku: text } })`
  select sku from shelf where sku = $1 for update`;

export const sessionSql = sql("shelf.session", { takes: [], gives: { pid: integer } })`select pg_backend_pid() as pid`;

export const failSql = sql("shelf.fail", { takes: [integer], gives: { result: integer } })`select 1 / $1 as result`;

export async function put(database: Queryable, sku: string, units: number): Promise<void> {
  await database.execute(putSql, [[sku], [units]]);
}

export async function unitsOf(database: Queryable, sku: string): Promise<number | undefined> {
  const [row] = await database.query(unitsSql, [sku]);
  return row?.units;
}

export async function sessionOf(queryable: Queryable): Promise<number> {
  const [row] = await queryable.query(sessionSql, []);
  return row?.pid ?? 0;
}
