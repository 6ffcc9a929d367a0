/** A pool of coupons that many want at the same time. */

import { bigint, integer, type Queryable, sql, text } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";

export const poolDatabase = (): Promise<TestDatabase> =>
  testDatabase({ schema: "pool", sets: [{ owner: "pool", directory: new URL("./migrations/", import.meta.url) }] });

const fillSql = sql("testing.pool-fill", { takes: [text, integer], gives: {} })`
  insert into pool (name, coupons) values ($1, $2)`;
const readSql = sql("testing.pool-read", { takes: [text], gives: { coupons: integer, version: integer } })`
  select coupons, version from pool where name = $1`;
const writeSql = sql("testing.pool-write", { takes: [text, integer], gives: {} })`
  update pool set coupons = $2, version = version + 1 where name = $1`;
export const writeVersionSql = sql("testing.pool-write-version", { takes: [text, integer, integer], gives: {} })`
  update pool set coupons = $2, version = version + 1 where name = $1 and version = $3`;
export const lockSql = sql("testing.pool-lock", { takes: [text], gives: { coupons: integer } })`
  select coupons from pool where name = $1 for update`;
export const waitSql = sql("testing.lock-timeout", { takes: [], gives: { wait: text } })`
  select current_setting('lock_timeout') as wait`;
export const waitersSql = sql("testing.lock-waiters", { takes: [], gives: { waiters: bigint } })`
  select count(*) as waiters from pg_locks join pg_stat_activity using (pid)
  where datname = current_database() and not granted`;

export const fill = (database: Queryable, name: string, coupons: number): Promise<number> =>
  database.execute(fillSql, [name, coupons]);

export async function read(database: Queryable, name: string): Promise<{ coupons: number; version: number }> {
  const [row] = await database.query(readSql, [name]);
  if (row === undefined) throw new Error(`There is no pool ${name}.`);
  return row;
}

export const write = (database: Queryable, name: string, coupons: number): Promise<number> =>
  database.execute(writeSql, [name, coupons]);

/** Reads, and writes one less: right only under a lock. */
export async function takeOne(database: Queryable, name: string): Promise<void> {
  const { coupons } = await read(database, name);
  await write(database, name, coupons - 1);
}
