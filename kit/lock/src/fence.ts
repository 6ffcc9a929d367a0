import { bigint, composedSql, identifier, type Transaction, text } from "@onsale/postgres";
import { StaleTokenError } from "./errors.ts";

/** What keeps a holder that overran its lease from writing: the newest token that the database has seen, by lock. */
export interface Fence {
  /**
   * The first statement of a transaction under a lock with a token. A newer holder's transaction waits for this one's end; when a
   * newer one was here already, this one is refused.
   * @throws {StaleTokenError}
   */
  pass(tx: Transaction, lock: { readonly name: string; readonly token: number }): Promise<void>;
}

/**
 * A fence in a table of the caller's own schema:
 *
 *     create table lock_fence (name text primary key, token bigint not null);
 *
 * Where the guarded row itself has a column for it, the write can refuse by itself, without another statement:
 * `update ... set ..., token = $2 where id = $1 and token <= $2`.
 */
export function fence(table: string): Fence {
  const passSql = composedSql(`lock.pass-${table}`, {
    takes: [text, bigint],
    gives: {},
    text: `insert into ${identifier(table)} as seen (name, token) values ($1, $2)
      on conflict (name) do update set token = excluded.token where seen.token <= excluded.token`,
  });
  return {
    async pass(tx, { name, token }) {
      if ((await tx.execute(passSql, [name, token])) === 0) throw new StaleTokenError(name, token);
    },
  };
}
