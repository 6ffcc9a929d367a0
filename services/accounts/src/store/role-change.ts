import type { BuyerId } from "@onsale/contracts/ids";
import { as, type Database, instant, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { AccountRole } from "../role.ts";

export interface RoleChange {
  readonly accountId: BuyerId;
  readonly roleBefore: AccountRole;
  readonly role: AccountRole;
  /** Null: the configuration did it. */
  readonly changedBy: BuyerId | null;
}

const insertRoleChangeSql = sql("accounts.insert-role-change", {
  takes: [uuid, text, text, nullable(uuid)],
  gives: {},
})`
  insert into accounts.role_change (account_id, role_before, role, changed_by) values ($1, $2, $3, $4)`;

export const insertRoleChange = (tx: Transaction, { accountId, roleBefore, role, changedBy }: RoleChange) =>
  tx.execute(insertRoleChangeSql, [accountId, roleBefore, role, changedBy]);

const listRoleChangesSql = sql("accounts.list-role-changes", {
  takes: [uuid],
  gives: {
    roleBefore: as<AccountRole>(text),
    role: as<AccountRole>(text),
    changedBy: nullable(as<BuyerId>(uuid)),
    changedAt: instant,
  },
})`
  select role_before as "roleBefore", role, changed_by as "changedBy", changed_at as "changedAt"
  from accounts.role_change where account_id = $1 order by position desc limit 100`;

/** The newest hundred first: more than a career has. */
export const listRoleChanges = (database: Database, accountId: BuyerId) =>
  database.query(listRoleChangesSql, [accountId]);
