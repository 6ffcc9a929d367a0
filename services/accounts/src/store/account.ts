import type { BuyerId } from "@onsale/contracts/ids";
import {
  as,
  bigint,
  type Database,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { Range } from "../account-page.ts";
import type { AccountRole } from "../role.ts";

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
export const findLogIn = async (database: Queryable, email: string) => (await database.query(findLogInSql, [email]))[0];

const shown = { accountId: as<BuyerId>(uuid), email: text, name: text, role: as<AccountRole>(text) };

const readAccountSql = sql("accounts.read-account", { takes: [uuid], gives: shown })`
  select account_id as "accountId", email, name, role from accounts.account where account_id = $1 and erased_at is null`;

/** Undefined where there is no such account, or none any more. */
export const readAccount = async (database: Queryable, accountId: BuyerId) =>
  (await database.query(readAccountSql, [accountId]))[0];

const lockAccountSql = sql("accounts.lock-account", {
  takes: [uuid],
  gives: {
    email: nullable(text),
    passwordHash: nullable(text),
    role: as<AccountRole>(text),
    version: integer,
    erasedAt: nullable(instant),
  },
})`
  select email, password_hash as "passwordHash", role, version, erased_at as "erasedAt"
  from accounts.account where account_id = $1 for no key update`;

/** The account's row, locked, an erased one too: whatever changes several rows of a person waits here for its turn. */
export const lockAccount = async (tx: Transaction, accountId: BuyerId) =>
  (await tx.query(lockAccountSql, [accountId]))[0];

const renameSql = sql("accounts.rename", { takes: [uuid, text], gives: shown })`
  update accounts.account set name = $2 where account_id = $1 and erased_at is null
  returning account_id as "accountId", email, name, role`;

/** Undefined where there is no such account. */
export const rename = async (database: Database, accountId: BuyerId, name: string) =>
  (await database.query(renameSql, [accountId, name]))[0];

const setPasswordSql = sql("accounts.set-password", { takes: [uuid, text], gives: {} })`
  update accounts.account set password_hash = $2 where account_id = $1`;

export const setPassword = (tx: Transaction, accountId: BuyerId, passwordHash: string) =>
  tx.execute(setPasswordSql, [accountId, passwordHash]);

const setRoleSql = sql("accounts.set-role", { takes: [uuid, as<AccountRole>(text)], gives: { version: integer } })`
  update accounts.account set role = $2, version = version + 1 where account_id = $1 returning version`;

/** The account's version after it, by which its event is told. */
export async function setRole(tx: Transaction, accountId: BuyerId, role: AccountRole): Promise<number> {
  const [row] = await tx.query(setRoleSql, [accountId, role]);
  if (row === undefined) throw new Error(`There is no account ${accountId}.`);
  return row.version;
}

const eraseAccountSql = sql("accounts.erase-account", { takes: [uuid], gives: {} })`
  update accounts.account set email = null, password_hash = null, name = null, role = 'customer',
    version = version + 1, erased_at = clock_timestamp()
  where account_id = $1`;

/** Leaves the bare id; the row counts one event more. */
export const eraseAccount = (tx: Transaction, accountId: BuyerId) => tx.execute(eraseAccountSql, [accountId]);

const lockAdminsSql = sql("accounts.lock-admins", { takes: [], gives: { accountId: as<BuyerId>(uuid) } })`
  select account_id as "accountId" from accounts.account where role = 'admin' order by account_id limit 2 for no key update`;

/**
 * At most two admins, locked: whether there is another besides the one who is to go. Everybody locks the first of them, so
 * two admins who take each other's role come one after the other.
 */
export const lockAdmins = (tx: Transaction) => tx.query(lockAdminsSql, []);

const listed = { ...shown, createdAt: instant };

const listAccountsSql = sql("accounts.list-accounts", { takes: [text, text, text, bigint], gives: listed })`
  select account_id as "accountId", email, name, role, created_at as "createdAt"
  from accounts.account where email >= $1 and email < $2 and email > $3 order by email limit $4`;

const listStaffSql = sql("accounts.list-staff", { takes: [text, text, text, bigint], gives: listed })`
  select account_id as "accountId", email, name, role, created_at as "createdAt"
  from accounts.account where role <> 'customer' and email >= $1 and email < $2 and email > $3 order by email limit $4`;

/** Accounts in the order of their address's bytes; with `staff` only those who run the shop. */
export const listAccounts = (
  database: Database,
  { from, below, after, limit, staff }: Range & { limit: number; staff: boolean },
) => database.query(staff ? listStaffSql : listAccountsSql, [from, below, after, limit]);

const readListedSql = sql("accounts.read-listed", {
  takes: [uuid],
  gives: { ...listed, email: nullable(text), name: nullable(text), erasedAt: nullable(instant) },
})`
  select account_id as "accountId", email, name, role, created_at as "createdAt", erased_at as "erasedAt"
  from accounts.account where account_id = $1`;

/** The account as admins see it, an erased one too. */
export const readListed = async (database: Queryable, accountId: BuyerId) =>
  (await database.query(readListedSql, [accountId]))[0];
