import type { BuyerId } from "@onsale/contracts/ids";
import {
  array,
  bigint,
  boolean,
  bytes,
  type Database,
  double,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import { allowances, type Counted, countedKinds, type Spent, type Tries } from "../attempt.ts";

const readTriesSql = sql("accounts.read-tries", {
  takes: [bytes, bytes, bytes, text],
  gives: {
    place: nullable(instant),
    account: nullable(instant),
    placeAndAccount: nullable(instant),
    isFamiliar: boolean,
    now: instant,
  },
})`
  select (select free_at from accounts.attempt where counted = $1) as place,
    (select free_at from accounts.attempt where counted = $2) as account,
    (select free_at from accounts.attempt where counted = $3) as "placeAndAccount",
    exists (select from accounts.account a join accounts.familiar_place f using (account_id)
      where a.email = $4 and f.place = $1) as "isFamiliar",
    clock_timestamp() as now`;

/** How many tries this address has left for this account. */
export async function readTries(
  database: Queryable,
  keys: Readonly<Record<Counted, Buffer>>,
  email: string,
): Promise<Tries> {
  const [row] = await database.query(readTriesSql, [keys.place, keys.account, keys.placeAndAccount, email]);
  if (row === undefined) throw new Error("The database told no tries.");
  const { now, isFamiliar } = row;
  const known = countedKinds.flatMap((kind) => (row[kind] === null ? [] : [[kind, row[kind]] as const]));
  return { now, isFamiliar, freeAt: Object.fromEntries(known) };
}

const countFailureSql = sql("accounts.count-failure", { takes: [array(bytes), array(double)], gives: {} })`
  insert into accounts.attempt as before (counted, free_at)
  select counted, now() + make_interval(secs => seconds)
  from unnest($1::bytea[], $2::float8[]) as failed (counted, seconds)
  on conflict (counted) do update
    set free_at = greatest(before.free_at, now()) + (excluded.free_at - now())`;

/** Counts a wrong password in all its counts. */
export async function countFailure(database: Database, keys: Readonly<Record<Counted, Buffer>>): Promise<void> {
  // In the order of the primary key, so that two failures wait for each other instead of deadlocking.
  const sorted = countedKinds.toSorted((one, other) => Buffer.compare(keys[one], keys[other]));
  await database.execute(countFailureSql, [
    sorted.map((kind) => keys[kind]),
    sorted.map((kind) => allowances[kind].everyMs / 1_000),
  ]);
}

const spendTrySql = sql("accounts.spend-try", { takes: [bytes, double, double], gives: {} })`
  insert into accounts.attempt as before (counted, free_at) values ($1, now() + make_interval(secs => $2))
  on conflict (counted) do update set free_at = greatest(before.free_at, now()) + make_interval(secs => $2)
    where before.free_at <= now() + make_interval(secs => $3)`;

/** Uses up one try of a kind that every try counts against. Gives the seconds until the next is free, 0 where this one was. */
export async function spendTry(database: Queryable, kind: Spent, key: Buffer): Promise<number> {
  const { burst, everyMs } = allowances[kind];
  const spent = await database.execute(spendTrySql, [key, everyMs / 1_000, ((burst - 1) * everyMs) / 1_000]);
  return spent === 1 ? 0 : everyMs / 1_000;
}

const forgiveSql = sql("accounts.forgive", { takes: [bytes], gives: {} })`
  delete from accounts.attempt where counted = $1`;

/** Frees the tries of one count. */
export const forgive = (tx: Transaction, counted: Buffer) => tx.execute(forgiveSql, [counted]);

const rememberPlaceSql = sql("accounts.remember-place", { takes: [uuid, bytes], gives: {} })`
  insert into accounts.familiar_place (account_id, place) values ($1, $2)
  on conflict (account_id, place) do update set seen_at = now()`;

const forgetOldestPlacesSql = sql("accounts.forget-oldest-places", { takes: [uuid, bigint], gives: {} })`
  delete from accounts.familiar_place where account_id = $1 and place = any (array(
    select place from accounts.familiar_place where account_id = $1 order by seen_at desc offset $2))`;

// Home, work, the phone's network, and some journeys.
const placesKept = 20;

/** Remembers where somebody has logged in, of an account whose row is locked. */
export async function rememberPlace(tx: Transaction, accountId: BuyerId, place: Buffer): Promise<void> {
  await tx.execute(rememberPlaceSql, [accountId, place]);
  await tx.execute(forgetOldestPlacesSql, [accountId, placesKept]);
}

const forgetPlacesSql = sql("accounts.forget-places", { takes: [uuid], gives: {} })`
  delete from accounts.familiar_place where account_id = $1`;

export const forgetPlaces = (tx: Transaction, accountId: BuyerId) => tx.execute(forgetPlacesSql, [accountId]);

const forgetAttemptsSql = sql("accounts.forget-attempts", { takes: [bigint], gives: {} })`
  delete from accounts.attempt where ctid = any (array(
    select ctid from accounts.attempt where free_at < now() order by free_at limit $1 for update skip locked))`;

/** Removes at most `limit` counts that are at their beginning again. Gives how many there were. */
export const forgetAttempts = (database: Database, limit: number) => database.execute(forgetAttemptsSql, [limit]);

const forgetOldPlacesSql = sql("accounts.forget-old-places", { takes: [integer, bigint], gives: {} })`
  delete from accounts.familiar_place where ctid = any (array(
    select ctid from accounts.familiar_place where seen_at < now() - make_interval(days => $1)
    order by seen_at limit $2 for update skip locked))`;

/** Removes at most `limit` places that nobody has logged in from for so many days. */
export const forgetOldPlaces = (database: Database, { days, limit }: { days: number; limit: number }) =>
  database.execute(forgetOldPlacesSql, [days, limit]);
