/** A pool of coupons, and the words to it: each lab does something to a pool of its own. */

import { bigint, type Database, integer, type Queryable, sql, text } from "@onsale/postgres";

/** What every pool begins with. */
export const coupons = 100;

export interface Pool {
  readonly coupons: number;
  readonly version: number;
}

const fillSql = sql("labs.fill-pool", { takes: [text, integer], gives: {} })`
  insert into pool (name, coupons) values ($1, $2)`;

const readSql = sql("labs.read-pool", { takes: [text], gives: { coupons: integer, version: integer } })`
  select coupons, version from pool where name = $1`;

const lockSql = sql("labs.lock-pool", { takes: [text], gives: { coupons: integer, version: integer } })`
  select coupons, version from pool where name = $1 for update`;

const lockWeaklySql = sql("labs.lock-pool-weakly", { takes: [text], gives: { coupons: integer, version: integer } })`
  select coupons, version from pool where name = $1 for no key update`;

const writeSql = sql("labs.write-pool", { takes: [text, integer], gives: {} })`
  update pool set coupons = $2, version = version + 1 where name = $1`;

const writeVersionSql = sql("labs.write-pool-version", { takes: [text, integer, integer], gives: {} })`
  update pool set coupons = $2, version = version + 1 where name = $1 and version = $3`;

const claimSql = sql("labs.claim", { takes: [text, text], gives: {} })`
  insert into claim (pool, buyer) values ($1, $2)`;

const claimsSql = sql("labs.claims", { takes: [text], gives: { claims: bigint } })`
  select count(*) as claims from claim where pool = $1`;

const waitersSql = sql("labs.waiters", { takes: [], gives: { waiters: bigint } })`
  select count(*) as waiters from pg_locks join pg_stat_activity using (pid)
  where datname = current_database() and not granted`;

const one = async (rows: Promise<Pool[]>): Promise<Pool> => {
  const [pool] = await rows;
  if (pool === undefined) throw new Error("The pool of this lab is gone.");
  return pool;
};

export const fill = (database: Database, name: string): Promise<number> => database.execute(fillSql, [name, coupons]);
export const read = (on: Queryable, name: string): Promise<Pool> => one(on.query(readSql, [name]));
export const lock = (on: Queryable, name: string): Promise<Pool> => one(on.query(lockSql, [name]));
/** The lock that an update takes which changes no key: a foreign key's own lock goes along with it. */
export const lockWeakly = (on: Queryable, name: string): Promise<Pool> => one(on.query(lockWeaklySql, [name]));

export const write = (on: Queryable, name: string, left: number): Promise<number> => on.execute(writeSql, [name, left]);

/** Whether it was written: only when nobody has since the version was read. */
export const writeVersion = async (on: Queryable, name: string, left: number, version: number): Promise<boolean> =>
  (await on.execute(writeVersionSql, [name, left, version])) === 1;

/** Its foreign key locks the pool's row, FOR KEY SHARE. */
export const claim = (on: Queryable, name: string, buyer: string): Promise<number> =>
  on.execute(claimSql, [name, buyer]);

export async function claims(on: Queryable, name: string): Promise<number> {
  const [row] = await on.query(claimsSql, [name]);
  return row?.claims ?? 0;
}

/** How many transactions of this database wait for a lock. */
export async function waiters(on: Queryable): Promise<number> {
  const [row] = await on.query(waitersSql, []);
  return row?.waiters ?? 0;
}
