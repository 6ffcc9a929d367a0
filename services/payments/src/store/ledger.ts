import type { OrderId, PaymentId } from "@onsale/contracts/ids";
import { array, as, bigint, instant, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";

/** Money that moved: a capture positive, a refund negative, in minor units. */
export interface LedgerTransaction {
  readonly orderId: OrderId;
  readonly paymentId: PaymentId;
  readonly movement: string;
  readonly amountMinor: number;
  readonly currency: string;
}

const bookSql = sql("payments.book", {
  takes: [array(as<OrderId>(uuid)), array(as<PaymentId>(uuid)), array(text), array(bigint), array(text)],
  gives: {},
})`
  insert into payments.ledger_entry (order_id, movement, account, payment_id, amount_minor, currency)
  select order_id, movement, side.account, payment_id, side.sign * amount_minor, currency
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[])
      as moved(order_id, payment_id, movement, amount_minor, currency)
    cross join (values ('provider', 1), ('orders', -1)) as side(account, sign)`;

/** Books each movement of money as two entries that sum to zero. Booking a movement twice makes the transaction fail. */
export async function book(tx: Transaction, moved: readonly LedgerTransaction[]): Promise<void> {
  if (moved.length === 0) return;
  await tx.execute(bookSql, [
    moved.map(({ orderId }) => orderId),
    moved.map(({ paymentId }) => paymentId),
    moved.map(({ movement }) => movement),
    moved.map(({ amountMinor }) => amountMinor),
    moved.map(({ currency }) => currency),
  ]);
}

const entriesSql = sql("payments.ledger-of-order", {
  takes: [as<OrderId>(uuid)],
  gives: { movement: text, account: text, amountMinor: bigint, currency: text, at: instant },
})`
  select movement, account, amount_minor as "amountMinor", currency, at
  from payments.ledger_entry where order_id = $1 order by order_id, movement, account`;

export const ledgerOf = (queryable: Queryable, orderId: OrderId) => queryable.query(entriesSql, [orderId]);
