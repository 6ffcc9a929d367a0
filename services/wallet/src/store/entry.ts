import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  instant,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import { type MoveKind, type Movement, moves, type ShopAccount } from "../ledger.ts";

const recordMovementsSql = sql("wallet.record-movements", {
  takes: [
    array(as<MoveKind>(text)),
    array(nullable(as<BuyerId>(uuid))),
    array(text),
    array(bigint),
    array(bigint),
    array(bigint),
    array(bigint),
    array(nullable(as<ShopAccount>(text))),
    array(bigint),
    array(nullable(as<OrderId>(uuid))),
    array(nullable(uuid)),
  ],
  gives: {},
})`
  insert into wallet.entry (kind, person_id, currency, available_minor, held_minor, debt_minor, voucher_minor, shop_account,
    shop_minor, order_id, document_id)
  select kind, person_id, currency, available_minor, held_minor, debt_minor, voucher_minor, shop_account, shop_minor, order_id,
    document_id
  from unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
      $9::bigint[], $10::uuid[], $11::uuid[])
    as moved(kind, person_id, currency, available_minor, held_minor, debt_minor, voucher_minor, shop_account, shop_minor,
      order_id, document_id)`;

/** Writes movements into the ledger, with what each changes of every account. */
export async function recordMovements(tx: Transaction, movements: readonly Movement[]): Promise<void> {
  if (movements.length === 0) return;
  const legs = movements.map(({ kind, amountMinor }) => ({ ...moves[kind], amountMinor }));
  await tx.execute(recordMovementsSql, [
    movements.map(({ kind }) => kind),
    movements.map(({ personId }) => personId),
    movements.map(({ currency }) => currency),
    legs.map(({ available, amountMinor }) => available * amountMinor),
    legs.map(({ held, amountMinor }) => held * amountMinor),
    legs.map(({ debt, amountMinor }) => debt * amountMinor),
    legs.map(({ voucher, amountMinor }) => voucher * amountMinor),
    legs.map(({ shop }) => shop?.[0] ?? null),
    legs.map(({ shop, amountMinor }) => (shop?.[1] ?? 0) * amountMinor),
    movements.map(({ orderId }) => orderId),
    movements.map(({ documentId }) => documentId),
  ]);
}

const entriesSql = sql("wallet.entries-of-person", {
  takes: [as<BuyerId>(uuid), nullable(bigint), bigint],
  gives: {
    position: bigint,
    kind: as<MoveKind>(text),
    currency: text,
    availableMinor: bigint,
    heldMinor: bigint,
    debtMinor: bigint,
    orderId: nullable(as<OrderId>(uuid)),
    at: instant,
  },
})`
  select position, kind, currency, available_minor as "availableMinor", held_minor as "heldMinor", debt_minor as "debtMinor",
    order_id as "orderId", at
  from wallet.entry
  where person_id = $1 and position < coalesce($2::bigint, 9223372036854775807)
  order by position desc
  limit $3`;

/** What happened to a person's points, the newest first, what lies before `before` in that order. */
export const entriesOf = (
  queryable: Queryable,
  personId: BuyerId,
  { before, limit }: { readonly before: number | null; readonly limit: number },
) => queryable.query(entriesSql, [personId, before, limit]);
