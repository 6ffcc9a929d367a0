import type { BuyerId } from "@onsale/contracts/ids";
import { as, type Database, sql, type Transaction, text, uuid } from "@onsale/postgres";

/** Whoever has an account; a guest has none. */
export type AccountRole = "customer" | "operator";

export interface NewAccount {
  readonly accountId: BuyerId;
  /** Normalised. */
  readonly email: string;
  readonly passwordHash: string;
  readonly name: string;
  readonly role: AccountRole;
}

const insertAccountSql = sql("accounts.insert-account", {
  takes: [uuid, text, text, text, as<AccountRole>(text)],
  gives: {},
})`
  insert into accounts.account (account_id, email, password_hash, name, role)
  values ($1, $2, $3, $4, $5) on conflict (email) do nothing`;

/** False when there is an account with this address. */
export async function insertAccount(tx: Transaction, account: NewAccount): Promise<boolean> {
  const { accountId, email, passwordHash, name, role } = account;
  return (await tx.execute(insertAccountSql, [accountId, email, passwordHash, name, role])) === 1;
}

const findLogInSql = sql("accounts.find-log-in", {
  takes: [text],
  gives: { accountId: as<BuyerId>(uuid), role: as<AccountRole>(text), passwordHash: text },
})`
  select account_id as "accountId", role, password_hash as "passwordHash" from accounts.account where email = $1`;

/** What is needed to log in with this normalised address. */
export const findLogIn = async (database: Database, email: string) => (await database.query(findLogInSql, [email]))[0];

const readAccountSql = sql("accounts.read-account", {
  takes: [uuid],
  gives: { accountId: as<BuyerId>(uuid), email: text, name: text, role: as<AccountRole>(text) },
})`
  select account_id as "accountId", email, name, role from accounts.account where account_id = $1`;

export const readAccount = async (database: Database, accountId: BuyerId) =>
  (await database.query(readAccountSql, [accountId]))[0];

const makeOperatorSql = sql("accounts.make-operator", { takes: [uuid, text], gives: {} })`
  update accounts.account set role = 'operator', password_hash = $2 where account_id = $1`;

/** Gives an account the operator's role and a new password. */
export const makeOperator = (tx: Transaction, accountId: BuyerId, passwordHash: string) =>
  tx.execute(makeOperatorSql, [accountId, passwordHash]);
