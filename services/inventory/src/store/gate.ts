import { bigint, sql, type Transaction } from "@onsale/postgres";

const logPositionSql = sql("inventory.log-position", { takes: [], gives: { position: bigint } })`
  select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint as position`;

/**
 * How far the server's log has been written. Asked by whoever holds a row's lock, it is higher than what every earlier holder
 * was told, since their commits lie before it.
 */
export async function logPosition(tx: Transaction): Promise<number> {
  const [row] = await tx.query(logPositionSql, []);
  if (row === undefined) throw new Error("PostgreSQL told no position of its log.");
  return row.position;
}
