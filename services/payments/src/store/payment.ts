import type { BuyerId, OrderId, PaymentId, ReturnId } from "@onsale/contracts/ids";
import type { Cause } from "@onsale/messaging";
import {
  array,
  as,
  bigint,
  boolean,
  double,
  instant,
  integer,
  json,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
  type ValueOf,
} from "@onsale/postgres";
import type { AskKind, Payment, PaymentStatus, Return } from "../payment.ts";
import { readReturns } from "./refund.ts";

const columns = {
  orderId: as<OrderId>(uuid),
  paymentId: as<PaymentId>(uuid),
  buyerId: nullable(as<BuyerId>(uuid)),
  amountMinor: bigint,
  currency: text,
  status: as<PaymentStatus>(text),
  version: integer,
  providerId: nullable(text),
  capturedMinor: bigint,
  refundedMinor: bigint,
  returnCount: integer,
  askCount: integer,
  askKind: nullable(as<AskKind>(text)),
  askMovement: nullable(text),
  askMinor: nullable(bigint),
  askReturnId: nullable(as<ReturnId>(uuid)),
  askedAt: nullable(instant),
  isUnsettled: boolean,
  cause: json<Cause>(),
} as const;

type Row = { readonly [Name in keyof typeof columns]: ValueOf<(typeof columns)[Name]> };

const lockPaymentsSql = sql("payments.lock-payments", { takes: [array(as<OrderId>(uuid))], gives: columns })`
  select order_id as "orderId", payment_id as "paymentId", buyer_id as "buyerId", amount_minor as "amountMinor", currency,
    status, version, provider_id as "providerId", captured_minor as "capturedMinor", refunded_minor as "refundedMinor",
    return_count as "returnCount", ask_count as "askCount", ask_kind as "askKind", ask_movement as "askMovement",
    ask_minor as "askMinor", ask_return_id as "askReturnId", asked_at as "askedAt", is_unsettled as "isUnsettled", cause
  from payments.payment where order_id = any($1::uuid[]) order by order_id for update`;

/** Locks the payments of these orders in the order of their ids. An order without a payment is absent. */
export const lockPayments = async (tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>> =>
  withReturns(tx, await tx.query(lockPaymentsSql, [orderIds]));

const readPaymentsSql = sql("payments.read-payments", { takes: [array(as<OrderId>(uuid))], gives: columns })`
  select order_id as "orderId", payment_id as "paymentId", buyer_id as "buyerId", amount_minor as "amountMinor", currency,
    status, version, provider_id as "providerId", captured_minor as "capturedMinor", refunded_minor as "refundedMinor",
    return_count as "returnCount", ask_count as "askCount", ask_kind as "askKind", ask_movement as "askMovement",
    ask_minor as "askMinor", ask_return_id as "askReturnId", asked_at as "askedAt", is_unsettled as "isUnsettled", cause
  from payments.payment where order_id = any($1::uuid[])`;

/** The same without locks: what is decided from it must bear that it has changed since. */
export const readPayments = async (
  queryable: Queryable,
  orderIds: readonly OrderId[],
): Promise<Map<OrderId, Payment>> => withReturns(queryable, await queryable.query(readPaymentsSql, [orderIds]));

const insertPaymentsSql = sql("payments.insert-payments", {
  takes: [
    array(as<OrderId>(uuid)),
    array(as<PaymentId>(uuid)),
    array(nullable(as<BuyerId>(uuid))),
    array(bigint),
    array(text),
    array(as<PaymentStatus>(text)),
    array(integer),
    array(integer),
    array(nullable(as<AskKind>(text))),
    array(nullable(text)),
    array(nullable(bigint)),
    array(nullable(instant)),
    array(json<Cause>()),
  ],
  gives: {},
})`
  insert into payments.payment (order_id, payment_id, buyer_id, amount_minor, currency, status, version, ask_count, ask_kind,
    ask_movement, ask_minor, asked_at, cause)
  select order_id, payment_id, buyer_id, amount_minor, currency, status, version, ask_count, ask_kind, ask_movement, ask_minor,
    asked_at, cause
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::int[], $8::int[], $9::text[],
      $10::text[], $11::bigint[], $12::timestamptz[], $13::jsonb[])
    as begun(order_id, payment_id, buyer_id, amount_minor, currency, status, version, ask_count, ask_kind, ask_movement,
      ask_minor, asked_at, cause)`;

/** Writes payments that did not exist. One that does makes the whole transaction fail. */
export async function insertPayments(tx: Transaction, payments: readonly Payment[]): Promise<void> {
  if (payments.length === 0) return;
  await tx.execute(insertPaymentsSql, [
    payments.map(({ orderId }) => orderId),
    payments.map(({ paymentId }) => paymentId),
    payments.map(({ buyerId }) => buyerId),
    payments.map(({ amountMinor }) => amountMinor),
    payments.map(({ currency }) => currency),
    payments.map(({ status }) => status),
    payments.map(({ version }) => version),
    payments.map(({ askCount }) => askCount),
    payments.map(({ ask }) => ask?.kind ?? null),
    payments.map(({ ask }) => ask?.movement ?? null),
    payments.map(({ ask }) => ask?.amountMinor ?? null),
    payments.map(({ ask }) => ask?.askedAt ?? null),
    payments.map(({ cause }) => cause),
  ]);
}

const updatePaymentsSql = sql("payments.update-payments", {
  takes: [
    array(as<OrderId>(uuid)),
    array(as<PaymentStatus>(text)),
    array(integer),
    array(nullable(text)),
    array(bigint),
    array(bigint),
    array(integer),
    array(integer),
    array(nullable(as<AskKind>(text))),
    array(nullable(text)),
    array(nullable(bigint)),
    array(nullable(as<ReturnId>(uuid))),
    array(nullable(instant)),
    array(boolean),
    array(json<Cause>()),
  ],
  gives: {},
})`
  update payments.payment set status = changed.status, version = changed.version, provider_id = changed.provider_id,
    captured_minor = changed.captured_minor, refunded_minor = changed.refunded_minor, return_count = changed.return_count,
    ask_count = changed.ask_count, ask_kind = changed.ask_kind, ask_movement = changed.ask_movement,
    ask_minor = changed.ask_minor, ask_return_id = changed.ask_return_id, asked_at = changed.asked_at,
    is_unsettled = changed.is_unsettled, cause = changed.cause
  from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::bigint[], $6::bigint[], $7::int[], $8::int[], $9::text[],
      $10::text[], $11::bigint[], $12::uuid[], $13::timestamptz[], $14::boolean[], $15::jsonb[])
    as changed(order_id, status, version, provider_id, captured_minor, refunded_minor, return_count, ask_count, ask_kind,
      ask_movement, ask_minor, ask_return_id, asked_at, is_unsettled, cause)
  where payment.order_id = changed.order_id`;

/** Writes what changes about payments whose rows the transaction has locked. */
export async function updatePayments(tx: Transaction, payments: readonly Payment[]): Promise<void> {
  if (payments.length === 0) return;
  await tx.execute(updatePaymentsSql, [
    payments.map(({ orderId }) => orderId),
    payments.map(({ status }) => status),
    payments.map(({ version }) => version),
    payments.map(({ providerId }) => providerId),
    payments.map(({ capturedMinor }) => capturedMinor),
    payments.map(({ refundedMinor }) => refundedMinor),
    payments.map(({ returns }) => returns.length),
    payments.map(({ askCount }) => askCount),
    payments.map(({ ask }) => ask?.kind ?? null),
    payments.map(({ ask }) => ask?.movement ?? null),
    payments.map(({ ask }) => ask?.amountMinor ?? null),
    payments.map(({ ask }) => ask?.returnId ?? null),
    payments.map(({ ask }) => ask?.askedAt ?? null),
    payments.map(({ isUnsettled }) => isUnsettled),
    payments.map(({ cause }) => cause),
  ]);
}

const forgottenSql = sql("payments.find-forgotten", {
  takes: [as<OrderId>(uuid), bigint, double],
  gives: { orderId: as<OrderId>(uuid), isForgotten: boolean },
})`
  select order_id as "orderId",
    coalesce(not is_unsettled and asked_at < clock_timestamp() - make_interval(secs => $3), false) as "isForgotten"
  from payments.payment where order_id > $1 order by order_id limit $2`;

/**
 * Looks through the next payments in the order of their ids. Forgotten is one whose question has been open for
 * `afterSeconds` although the job that asks again does not have it.
 */
export const lookForForgotten = (
  queryable: Queryable,
  { after, limit, afterSeconds }: { readonly after: OrderId; readonly limit: number; readonly afterSeconds: number },
): Promise<{ orderId: OrderId; isForgotten: boolean }[]> => queryable.query(forgottenSql, [after, limit, afterSeconds]);

async function withReturns(queryable: Queryable, rows: readonly Row[]): Promise<Map<OrderId, Payment>> {
  const returning = rows.filter(({ returnCount }) => returnCount > 0).map(({ orderId }) => orderId);
  const returns = returning.length > 0 ? await readReturns(queryable, returning) : new Map<OrderId, Return[]>();
  return new Map(rows.map((row) => [row.orderId, toPayment(row, returns.get(row.orderId) ?? [])]));
}

function toPayment(row: Row, returns: readonly Return[]): Payment {
  const { returnCount, askKind, askMovement, askMinor, askReturnId, askedAt, ...rest } = row;
  const isOpen = askKind !== null && askMovement !== null && askMinor !== null && askedAt !== null;
  const ask = isOpen
    ? { kind: askKind, movement: askMovement, amountMinor: askMinor, returnId: askReturnId, askedAt }
    : null;
  return { ...rest, ask, returns };
}
