import { instant } from "./columns.ts";
import type { Queryable } from "./database.ts";
import { sql } from "./sql.ts";

const databaseNowSql = sql("postgres.database-now", {
  takes: [],
  gives: { now: instant },
})`select clock_timestamp() as now`;

/** The database's clock, read when the statement runs: the only clock that decisions and deadlines go by. */
export async function databaseNow(queryable: Queryable): Promise<string> {
  const [row] = await queryable.query(databaseNowSql, []);
  if (row === undefined) throw new Error("The database told no time.");
  return row.now;
}
