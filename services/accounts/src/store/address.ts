import type { BuyerId } from "@onsale/contracts/ids";
import { boolean, type Database, integer, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Address } from "../address.ts";

const fields = {
  recipient: text,
  line1: text,
  line2: nullable(text),
  postalCode: nullable(text),
  city: text,
  region: nullable(text),
  country: text,
  phone: nullable(text),
};
const shown = { addressId: uuid, ...fields, isDefault: boolean };

const listAddressesSql = sql("accounts.list-addresses", { takes: [uuid], gives: shown })`
  select address_id as "addressId", recipient, line1, line2, postal_code as "postalCode", city, region, country, phone,
    is_default as "isDefault"
  from accounts.address where account_id = $1 order by address_id`;

/** In the order in which they were added. */
export const listAddresses = (database: Database, accountId: BuyerId) => database.query(listAddressesSql, [accountId]);

const countAddressesSql = sql("accounts.count-addresses", { takes: [uuid], gives: { count: integer } })`
  select count(*)::int as count from accounts.address where account_id = $1`;

/** Of an account whose row is locked. */
export async function countAddresses(tx: Transaction, accountId: BuyerId): Promise<number> {
  return (await tx.query(countAddressesSql, [accountId]))[0]?.count ?? 0;
}

const addressColumns = [
  text,
  text,
  nullable(text),
  nullable(text),
  text,
  nullable(text),
  text,
  nullable(text),
] as const;
const valuesOf = ({ recipient, line1, line2, postalCode, city, region, country, phone }: Address) =>
  [recipient, line1, line2, postalCode, city, region, country, phone] as const;

const insertAddressSql = sql("accounts.insert-address", { takes: [uuid, uuid, ...addressColumns], gives: {} })`
  insert into accounts.address
    (address_id, account_id, recipient, line1, line2, postal_code, city, region, country, phone, is_default)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, false)`;

/** Adds one that is not the default. */
export const insertAddress = (tx: Transaction, addressId: string, accountId: BuyerId, address: Address) =>
  tx.execute(insertAddressSql, [addressId, accountId, ...valuesOf(address)]);

const updateAddressSql = sql("accounts.update-address", { takes: [uuid, uuid, ...addressColumns], gives: {} })`
  update accounts.address set recipient = $3, line1 = $4, line2 = $5, postal_code = $6, city = $7, region = $8,
    country = $9, phone = $10
  where account_id = $2 and address_id = $1`;

/** False when this person has no such address. */
export const updateAddress = async (tx: Transaction, addressId: string, accountId: BuyerId, address: Address) =>
  (await tx.execute(updateAddressSql, [addressId, accountId, ...valuesOf(address)])) === 1;

const deleteAddressSql = sql("accounts.delete-address", { takes: [uuid, uuid], gives: {} })`
  delete from accounts.address where account_id = $1 and address_id = $2`;

/** False when this person has no such address. */
export const deleteAddress = async (tx: Transaction, accountId: BuyerId, addressId: string) =>
  (await tx.execute(deleteAddressSql, [accountId, addressId])) === 1;

const deleteAddressesSql = sql("accounts.delete-addresses", { takes: [uuid], gives: {} })`
  delete from accounts.address where account_id = $1`;

export const deleteAddresses = (tx: Transaction, accountId: BuyerId) => tx.execute(deleteAddressesSql, [accountId]);

const clearDefaultSql = sql("accounts.clear-default-address", { takes: [uuid], gives: {} })`
  update accounts.address set is_default = false where account_id = $1 and is_default`;

const makeDefaultSql = sql("accounts.make-default-address", { takes: [uuid, uuid], gives: {} })`
  update accounts.address set is_default = true where account_id = $1 and address_id = $2`;

/** Makes this the one default of an account whose row is locked. */
export async function makeDefault(tx: Transaction, accountId: BuyerId, addressId: string): Promise<void> {
  await tx.execute(clearDefaultSql, [accountId]);
  await tx.execute(makeDefaultSql, [accountId, addressId]);
}

const defaultToOldestSql = sql("accounts.default-to-oldest-address", { takes: [uuid], gives: {} })`
  update accounts.address set is_default = true
  where account_id = $1
    and address_id = (select address_id from accounts.address where account_id = $1 order by address_id limit 1)
    and not exists (select from accounts.address where account_id = $1 and is_default)`;

/** Sees to it that an account whose row is locked has a default as long as it has an address: else the oldest becomes it. */
export const defaultToOldest = (tx: Transaction, accountId: BuyerId) => tx.execute(defaultToOldestSql, [accountId]);

const readAddressSql = sql("accounts.read-address", { takes: [uuid, uuid], gives: shown })`
  select address_id as "addressId", recipient, line1, line2, postal_code as "postalCode", city, region, country, phone,
    is_default as "isDefault"
  from accounts.address where account_id = $1 and address_id = $2`;

export const readAddress = async (tx: Transaction, accountId: BuyerId, addressId: string) =>
  (await tx.query(readAddressSql, [accountId, addressId]))[0];
