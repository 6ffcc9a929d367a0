import type { BuyerId } from "@onsale/contracts/ids";
import { array, as, bigint, instant, json, nullable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { Bearer, LotSource } from "../lot.ts";
import { inLockOrder, type OpenPurse, OpenPurses, type Purse, type PurseKey, purseName } from "../purse.ts";
import { recordMovements } from "./entry.ts";

const keyColumns = [array(as<BuyerId>(uuid)), array(text)] as const;

const lockBalancesSql = sql("wallet.lock-balances", {
  takes: keyColumns,
  gives: {
    personId: as<BuyerId>(uuid),
    currency: text,
    availableMinor: bigint,
    heldMinor: bigint,
    debtMinor: bigint,
  },
})`
  select b.person_id as "personId", b.currency, b.available_minor as "availableMinor", b.held_minor as "heldMinor",
    b.debt_minor as "debtMinor"
  from unnest($1::uuid[], $2::text[]) as wanted(person_id, currency)
  join wallet.balance b on b.person_id = wanted.person_id and b.currency = wanted.currency
  for update of b`;

const openLotsSql = sql("wallet.open-lots", {
  takes: keyColumns,
  gives: {
    personId: as<BuyerId>(uuid),
    currency: text,
    lotId: uuid,
    remainingMinor: bigint,
    expiresAt: nullable(instant),
  },
})`
  select l.person_id as "personId", l.currency, l.lot_id as "lotId", l.remaining_minor as "remainingMinor",
    l.expires_at as "expiresAt"
  from unnest($1::uuid[], $2::text[]) as wanted(person_id, currency)
  join wallet.lot l on l.person_id = wanted.person_id and l.currency = wanted.currency and l.is_open`;

/** Locks these balances in lock order and reads their lots. Where somebody never had points of a currency there is none. */
export async function lockPurses(tx: Transaction, keys: readonly PurseKey[]): Promise<OpenPurses> {
  if (keys.length === 0) return new OpenPurses([]);
  const parameters = columnsOf(inLockOrder(keys));
  // The lots are read by a statement that begins when the locks are held, so it sees what the last holder left.
  const [balances, lots] = await Promise.all([
    tx.query(lockBalancesSql, parameters),
    tx.query(openLotsSql, parameters),
  ]);
  const lotsByPurse = Map.groupBy(lots, purseName);
  return new OpenPurses(
    balances.map((balance): Purse => ({ ...balance, lots: lotsByPurse.get(purseName(balance)) ?? [] })),
  );
}

const columnsOf = (keys: readonly PurseKey[]) =>
  [keys.map(({ personId }) => personId), keys.map(({ currency }) => currency)] as const;

const openBalancesSql = sql("wallet.open-balances", { takes: keyColumns, gives: {} })`
  insert into wallet.balance (person_id, currency)
  select person_id, currency from unnest($1::uuid[], $2::text[]) as wanted(person_id, currency)
  on conflict (person_id, currency) do nothing`;

/** Makes empty balances where there are none. */
export async function openBalances(tx: Transaction, keys: readonly PurseKey[]): Promise<void> {
  if (keys.length > 0) await tx.execute(openBalancesSql, columnsOf(inLockOrder(keys)));
}

const updateBalancesSql = sql("wallet.update-balances", {
  takes: [...keyColumns, array(bigint), array(bigint), array(bigint)],
  gives: {},
})`
  update wallet.balance b
  set available_minor = after.available_minor, held_minor = after.held_minor, debt_minor = after.debt_minor
  from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    as after(person_id, currency, available_minor, held_minor, debt_minor)
  where b.person_id = after.person_id and b.currency = after.currency`;

const updateLotsSql = sql("wallet.update-lots", {
  takes: [array(uuid), array(bigint), array(nullable(instant))],
  gives: {},
})`
  update wallet.lot l set remaining_minor = after.remaining_minor, expires_at = after.expires_at
  from unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) as after(lot_id, remaining_minor, expires_at)
  where l.lot_id = after.lot_id`;

const insertLotsSql = sql("wallet.insert-lots", {
  takes: [
    array(uuid),
    array(as<BuyerId>(uuid)),
    array(text),
    array(as<LotSource>(text)),
    array(json<readonly Bearer[]>()),
    array(bigint),
    array(nullable(instant)),
  ],
  gives: {},
})`
  insert into wallet.lot (lot_id, person_id, currency, source, bearers, remaining_minor, expires_at)
  select lot_id, person_id, currency, source, bearers, remaining_minor, expires_at
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::bigint[], $7::timestamptz[])
    as opened(lot_id, person_id, currency, source, bearers, remaining_minor, expires_at)
  on conflict (lot_id) do update set remaining_minor = excluded.remaining_minor, expires_at = excluded.expires_at`;

/** The only way points move: balances, lots and ledger change together. The caller has locked the purses. */
export async function storePurses(tx: Transaction, purses: OpenPurses): Promise<void> {
  const changed = purses.changed();
  if (changed.length === 0) return;
  await Promise.all([
    tx.execute(updateBalancesSql, [
      ...columnsOf(changed.map(({ key }) => key)),
      changed.map(({ availableMinor }) => availableMinor),
      changed.map(({ heldMinor }) => heldMinor),
      changed.map(({ debtMinor }) => debtMinor),
    ]),
    updateLots(tx, changed),
    insertLots(tx, changed),
    recordMovements(
      tx,
      changed.flatMap(({ movements }) => movements),
    ),
  ]);
}

async function updateLots(tx: Transaction, purses: readonly OpenPurse[]): Promise<void> {
  const lots = purses.flatMap((purse) => [...purse.changed].flatMap((lotId) => purse.lot(lotId) ?? []));
  if (lots.length === 0) return;
  await tx.execute(updateLotsSql, [
    lots.map(({ lotId }) => lotId),
    lots.map(({ remainingMinor }) => remainingMinor),
    lots.map(({ expiresAt }) => expiresAt),
  ]);
}

async function insertLots(tx: Transaction, purses: readonly OpenPurse[]): Promise<void> {
  const lots = purses.flatMap((purse) =>
    [...purse.opened.values()].map((lot) => ({ ...lot, ...purse.lot(lot.lotId), ...purse.key })),
  );
  if (lots.length === 0) return;
  await tx.execute(insertLotsSql, [
    lots.map(({ lotId }) => lotId),
    lots.map(({ personId }) => personId),
    lots.map(({ currency }) => currency),
    lots.map(({ source }) => source),
    lots.map(({ bearers }) => bearers),
    lots.map(({ remainingMinor }) => remainingMinor ?? 0),
    lots.map(({ expiresAt }) => expiresAt),
  ]);
}

const dueSql = sql("wallet.lots-past-their-end", {
  takes: [bigint],
  gives: { personId: as<BuyerId>(uuid), currency: text, before: instant },
})`
  select l.person_id as "personId", l.currency, heard.until as before
  from (
    select least(clock_timestamp(), coalesce(min(watermark), '-infinity')) as until
    from wallet.reader_cursor where reader = 'wallet' and source = 'orders') as heard
  join wallet.lot l on l.expires_at < heard.until
  where l.is_open and l.expires_at is not null
  order by l.expires_at
  limit $1`;

/**
 * Whose points have passed their end by the database's clock, the longest past first, at most `limit` lots. What orders
 * told before the end must have been applied first: who wanted the points in time gets them, though the feed was down for
 * a while. `before`: until when that is so.
 */
export const purseOfLotsPastTheirEnd = (tx: Transaction, limit: number) => tx.query(dueSql, [limit]);
