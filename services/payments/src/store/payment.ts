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
  provider: nullable(text),
  providerId: nullable(text),
  capturedMinor: bigint,
  refundedMinor: bigint,
  returnCount: integer,
  askCount: integer,
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
    status, version, provider, provider_id as "providerId", captured_minor as "capturedMinor", refunded_minor as "refundedMinor",
    return_count as "returnCount", ask_count as "askCount", ask_movement as "askMovement",
    ask_minor as "askMinor", ask_return_id as "askReturnId", asked_at as "askedAt", is_unsettled as "isUnsettled", cause
  from payments.payment where order_id = any($1::uuid[]) order by order_id for update`;

/** Locks the payments of these orders in the order of their ids. An order without a payment is absent. */
export const lockPayments = async (tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>> =>
  withReturns(tx, await tx.query(lockPaymentsSql, [orderIds]));

const readPaymentsSql = sql("payments.read-payments", { takes: [array(as<OrderId>(uuid))], gives: columns })`
  select order_id as "orderId", payment_id as "paymentId", buyer_id as "buyerId", amount_minor as "amountMinor", currency,
    status, version, provider, provider_id as "providerId", captured_minor as "capturedMinor", refunded_minor as "refundedMinor",
    return_count as "returnCount", ask_count as "askCount", ask_movement as "askMovement",
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
    array(nullable(text)),
    array(nullable(instant)),
    array(json<Cause>()),
  ],
  gives: {},
})`
  insert into payments.payment (order_id, payment_id, buyer_id, amount_minor, currency, status, version, provider, ask_count,
    ask_movement, ask_minor, asked_at, cause)
  select order_id, payment_id, buyer_id, amount_minor, currency, status, version, provider,
    case when asked_at is null then 0 else 1 end,
    case when asked_at is not null then 'authorise' end,
    case when asked_at is not null then amount_minor end,
    asked_at, cause
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::int[], $8::text[], $9::timestamptz[], $10::jsonb[])
    as begun(order_id, payment_id, buyer_id, amount_minor, currency, status, version, provider, asked_at, cause)`;

/**
 * Writes payments that did not exist; one that does makes the whole transaction fail. A new payment can have one question
 * only: to authorise the whole.
 */
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
    payments.map(({ provider }) => provider),
    payments.map(({ ask }) => ask?.askedAt ?? null),
    payments.map(({ cause }) => cause),
  ]);
}

const advancePaymentsSql = sql("payments.advance-payments", {
  takes: [
    array(as<OrderId>(uuid)),
    array(as<PaymentStatus>(text)),
    array(integer),
    array(integer),
    array(nullable(text)),
    array(nullable(instant)),
  ],
  gives: {},
})`
  update payments.payment set status = changed.status, version = changed.version, ask_count = changed.ask_count,
    ask_movement = changed.ask_movement, asked_at = changed.asked_at, ask_return_id = null,
    ask_minor = case when changed.ask_movement is not null then payment.amount_minor end
  from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::timestamptz[])
    as changed(order_id, status, version, ask_count, ask_movement, asked_at)
  where payment.order_id = changed.order_id`;

/**
 * Writes the next question, about the whole amount, of payments whose rows the transaction has locked and of which nothing
 * else changes. \`updatePayments\` would do, at twice the price: each column of it costs every order.
 */
export async function advancePayments(tx: Transaction, payments: readonly Payment[]): Promise<void> {
  if (payments.length === 0) return;
  await tx.execute(advancePaymentsSql, [
    payments.map(({ orderId }) => orderId),
    payments.map(({ status }) => status),
    payments.map(({ version }) => version),
    payments.map(({ askCount }) => askCount),
    payments.map(({ ask }) => ask?.movement ?? null),
    payments.map(({ ask }) => ask?.askedAt ?? null),
  ]);
}

const closeQuestionsSql = sql("payments.close-questions", {
  takes: [
    array(as<OrderId>(uuid)),
    array(text),
    array(integer),
    array(as<PaymentStatus>(text)),
    array(integer),
    array(nullable(text)),
    array(bigint),
  ],
  gives: { orderId: as<OrderId>(uuid) },
})`
  update payments.payment set status = answered.status, version = answered.version, provider_id = answered.provider_id,
    captured_minor = answered.captured_minor, ask_movement = null, ask_minor = null, ask_return_id = null, asked_at = null
  from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::int[], $6::text[], $7::bigint[])
    as answered(order_id, movement, asked_version, status, version, provider_id, captured_minor)
  where payment.order_id = answered.order_id and payment.ask_movement = answered.movement
    and payment.version = answered.asked_version and not payment.is_unsettled
  returning payment.order_id as "orderId"`;

/**
 * Closes questions that were asked a moment ago, where nobody else has closed or taken them meanwhile, and returns the
 * orders of which that was so: their rows are locked now. Sorted by order, as whoever locks several payments does it.
 */
export async function closeQuestions(
  tx: Transaction,
  answered: readonly { readonly before: Payment; readonly after: Payment }[],
): Promise<ReadonlySet<OrderId>> {
  if (answered.length === 0) return new Set();
  const sorted = answered.toSorted((a, b) => (a.before.orderId < b.before.orderId ? -1 : 1));
  const rows = await tx.query(closeQuestionsSql, [
    sorted.map(({ before }) => before.orderId),
    sorted.map(({ before }) => before.ask?.movement ?? ""),
    sorted.map(({ before }) => before.version),
    sorted.map(({ after }) => after.status),
    sorted.map(({ after }) => after.version),
    sorted.map(({ after }) => after.providerId),
    sorted.map(({ after }) => after.capturedMinor),
  ]);
  return new Set(rows.map(({ orderId }) => orderId));
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
    ask_count = changed.ask_count, ask_movement = changed.ask_movement, ask_minor = changed.ask_minor, ask_return_id = changed.ask_return_id, asked_at = changed.asked_at,
    is_unsettled = changed.is_unsettled, cause = changed.cause
  from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::bigint[], $6::bigint[], $7::int[], $8::int[], $9::text[],
      $10::bigint[], $11::uuid[], $12::timestamptz[], $13::boolean[], $14::jsonb[])
    as changed(order_id, status, version, provider_id, captured_minor, refunded_minor, return_count, ask_count,
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
    payments.map(({ ask }) => ask?.movement ?? null),
    payments.map(({ ask }) => ask?.amountMinor ?? null),
    payments.map(({ ask }) => ask?.returnId ?? null),
    payments.map(({ ask }) => ask?.askedAt ?? null),
    payments.map(({ isUnsettled }) => isUnsettled),
    payments.map(({ cause }) => cause),
  ]);
}

const givePaymentsSql = sql("payments.give-payments", {
  takes: [array(as<OrderId>(uuid)), array(nullable(text)), array(nullable(instant))],
  gives: {},
})`
  update payments.payment set provider = given.provider, asked_at = given.asked_at
  from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as given(order_id, provider, asked_at)
  where payment.order_id = given.order_id and payment.ask_movement = 'authorise'`;

/** Writes whose these payments are now, of which nothing was asked yet. Their rows are locked. */
export async function givePayments(tx: Transaction, payments: readonly Payment[]): Promise<void> {
  if (payments.length === 0) return;
  await tx.execute(givePaymentsSql, [
    payments.map(({ orderId }) => orderId),
    payments.map(({ provider }) => provider),
    payments.map(({ ask }) => ask?.askedAt ?? null),
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
  const { returnCount, askMovement: movement, askMinor, askReturnId: returnId, askedAt, ...rest } = row;
  const isOpen = movement !== null && askMinor !== null && askedAt !== null;
  const ask = isOpen ? { kind: kindOf(movement), movement, amountMinor: askMinor, returnId, askedAt } : null;
  return { ...rest, ask, returns };
}

/** `void.3` is the third question of its payment, and a void. */
const kindOf = (movement: string): AskKind => movement.replace(/\.\d+$/, "") as AskKind;
