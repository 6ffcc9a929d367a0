import type { BuyerId } from "@onsale/contracts/ids";
import type { Transaction } from "@onsale/postgres";
import { type Address, maximumAddresses } from "./address.ts";
import { lockAccount } from "./store/account.ts";
import {
  countAddresses,
  defaultToOldest,
  deleteAddress,
  insertAddress,
  makeDefault,
  readAddress,
  updateAddress,
} from "./store/address.ts";

/** An address, and whether it is to be the default from now on. */
export interface Wish {
  readonly address: Address;
  readonly makeDefault: boolean;
}

export type KeptAddress = NonNullable<Awaited<ReturnType<typeof readAddress>>>;
export type AddressKept =
  | { readonly kind: "kept"; readonly address: KeptAddress }
  | { readonly kind: "account-not-found" | "address-not-found" | "too-many" };

/** Adds an address; a person's first one is their default. */
export async function addAddress(
  tx: Transaction,
  { accountId, addressId, wish }: { readonly accountId: BuyerId; readonly addressId: string; readonly wish: Wish },
): Promise<AddressKept> {
  if (!(await lockPerson(tx, accountId))) return { kind: "account-not-found" };
  if ((await countAddresses(tx, accountId)) >= maximumAddresses) return { kind: "too-many" };
  await insertAddress(tx, addressId, accountId, wish.address);
  return await settled(tx, accountId, addressId, wish);
}

/** Replaces an address. */
export async function changeAddress(
  tx: Transaction,
  { accountId, addressId, wish }: { readonly accountId: BuyerId; readonly addressId: string; readonly wish: Wish },
): Promise<AddressKept> {
  if (!(await lockPerson(tx, accountId))) return { kind: "account-not-found" };
  if (!(await updateAddress(tx, addressId, accountId, wish.address))) return { kind: "address-not-found" };
  return await settled(tx, accountId, addressId, wish);
}

/** Removes an address; if it was the default, the oldest of the others is it now. False when this person has no such address. */
export async function removeAddress(tx: Transaction, accountId: BuyerId, addressId: string): Promise<boolean> {
  if (!(await lockPerson(tx, accountId)) || !(await deleteAddress(tx, accountId, addressId))) return false;
  await defaultToOldest(tx, accountId);
  return true;
}

/** False for somebody who has no account, or none any more: an access token may be older than the erasure. */
async function lockPerson(tx: Transaction, accountId: BuyerId): Promise<boolean> {
  return (await lockAccount(tx, accountId))?.erasedAt === null;
}

async function settled(tx: Transaction, accountId: BuyerId, addressId: string, wish: Wish): Promise<AddressKept> {
  if (wish.makeDefault) await makeDefault(tx, accountId, addressId);
  else await defaultToOldest(tx, accountId);
  const address = await readAddress(tx, accountId, addressId);
  return address === undefined ? { kind: "address-not-found" } : { kind: "kept", address };
}
