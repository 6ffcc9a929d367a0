import type { OrderId } from "@onsale/contracts/ids";
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
} from "@onsale/postgres";
import type { Outcome } from "../delivery.ts";
import type { Channel, Content, MessageKind, NewMessage, PersonalChannel } from "../message.ts";

export type MessageStatus = "pending" | "sent" | "kept" | "withdrawn" | "dead";

const insertMessagesSql = sql("notifications.insert-messages", {
  takes: [
    array(uuid),
    array(text),
    array(text),
    array(uuid),
    array(nullable(uuid)),
    array(nullable(uuid)),
    array(nullable(uuid)),
    array(nullable(uuid)),
    array(text),
    array(json<Content["facts"]>()),
    array(text),
  ],
  gives: {},
})`
  insert into notifications.message
    (id, kind, channel, about, recipient_id, order_id, buyer_id, event_id, language, facts, status, ended_at)
  select id, kind, channel, about, recipient_id, order_id, buyer_id, event_id, language, facts, status,
    case status when 'pending' then null else clock_timestamp() end
  from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[],
    $10::jsonb[], $11::text[])
    as new (id, kind, channel, about, recipient_id, order_id, buyer_id, event_id, language, facts, status)
  on conflict on constraint told_once do nothing`;

/** Writes messages down; what was told already is not told again. Gives how many are new. */
export async function insertMessages(
  tx: Transaction,
  messages: readonly (NewMessage & { readonly status: "pending" | "kept" })[],
): Promise<number> {
  if (messages.length === 0) return 0;
  // In the order of their key, so that two batches that share messages wait for each other instead of deadlocking.
  const rows = messages.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  return await tx.execute(insertMessagesSql, [
    rows.map(({ id }) => id),
    rows.map(({ kind }) => kind),
    rows.map(({ channel }) => channel),
    rows.map(({ about }) => about),
    rows.map(({ recipientId }) => recipientId),
    rows.map(({ orderId }) => orderId),
    rows.map(({ buyerId }) => buyerId),
    rows.map(({ eventId }) => eventId),
    rows.map(({ language }) => language),
    rows.map(({ facts }) => facts),
    rows.map(({ status }) => status),
  ]);
}

const keyOf = ({ about, kind, channel, recipientId }: NewMessage): string =>
  `${about} ${kind} ${channel} ${recipientId ?? ""}`;

/** What is needed to send a message: its words, and where its recipient is at this moment. */
const sendable = {
  id: uuid,
  kind: as<MessageKind>(text),
  channel: as<Channel>(text),
  recipientId: nullable(uuid),
  language: text,
  facts: json<Content["facts"]>(),
  attempts: integer,
  isKnown: boolean,
  email: nullable(text),
  emailConfirmed: boolean,
  pushToken: nullable(text),
  orders: array(as<PersonalChannel>(text)),
  news: array(as<PersonalChannel>(text)),
};

const claimDueSql = sql("notifications.claim-due", { takes: [text, integer, double], gives: sendable })`
  with due as materialized (
    select id from notifications.message
    where channel = $1 and status = 'pending' and kind <> 'news' and due_at <= clock_timestamp()
    order by due_at
    limit (select case when closed_until > clock_timestamp() then 0 when failures > 0 then least(1, $2) else $2 end
      from notifications.line where channel = $1)
    for update skip locked),
  claimed as (
    update notifications.message as message
    set attempts = attempts + 1, due_at = clock_timestamp() + $3 * interval '1 millisecond'
    from due where message.id = due.id
    returning message.id, message.kind, message.channel, message.language, message.facts, message.attempts,
      message.recipient_id)
  select claimed.id, claimed.kind, claimed.channel, claimed.recipient_id as "recipientId", claimed.language, claimed.facts, claimed.attempts,
    recipient.person_id is not null as "isKnown", recipient.email,
    recipient.email_confirmed_at is not null as "emailConfirmed", recipient.push_token as "pushToken",
    coalesce(recipient.orders, '{}') as orders, coalesce(recipient.news, '{}') as news
  from claimed left join notifications.recipient as recipient on recipient.person_id = claimed.recipient_id`;

export type ClaimedMessage = Awaited<ReturnType<typeof claimDue>>[number];

export interface ClaimLimits {
  readonly limit: number;
  /** Nobody else takes them up before so many milliseconds are over. */
  readonly leaseMs: number;
}

/**
 * Takes up what is due in a channel, oldest first, news excepted; an attempt is counted for each. Nothing while the line is
 * closed, one message while it has failures.
 */
export const claimDue = (database: Queryable, channel: Channel, { limit, leaseMs }: ClaimLimits) =>
  database.query(claimDueSql, [channel, limit, leaseMs]);

const claimDueNewsSql = sql("notifications.claim-due-news", {
  takes: [uuid, text, integer, double],
  gives: sendable,
})`
  with due as materialized (
    select id from notifications.message
    where about = $1 and channel = $2 and status = 'pending' and kind = 'news' and due_at <= clock_timestamp()
    order by due_at
    limit (select case when closed_until > clock_timestamp() then 0 when failures > 0 then least(1, $3) else $3 end
      from notifications.line where channel = $2)
    for update skip locked),
  claimed as (
    update notifications.message as message
    set attempts = attempts + 1, due_at = clock_timestamp() + $4 * interval '1 millisecond'
    from due where message.id = due.id
    returning message.id, message.kind, message.channel, message.language, message.attempts, message.recipient_id)
  select claimed.id, claimed.kind, claimed.channel, claimed.recipient_id as "recipientId", claimed.language, jsonb_build_object('texts', bulk.texts) as facts,
    claimed.attempts, recipient.person_id is not null as "isKnown", recipient.email,
    recipient.email_confirmed_at is not null as "emailConfirmed", recipient.push_token as "pushToken",
    coalesce(recipient.orders, '{}') as orders, coalesce(recipient.news, '{}') as news
  from claimed
  join notifications.bulk_message as bulk on bulk.id = $1
  left join notifications.recipient as recipient on recipient.person_id = claimed.recipient_id`;

/** The same for what one bulk message still has to send in a channel. */
export const claimDueNews = (
  tx: Transaction,
  { bulkMessageId, channel }: { bulkMessageId: string; channel: Channel },
  { limit, leaseMs }: ClaimLimits,
) => tx.query(claimDueNewsSql, [bulkMessageId, channel, limit, leaseMs]);

const settleMessagesSql = sql("notifications.settle-messages", {
  takes: [array(uuid), array(integer), array(text), array(double), array(nullable(text)), array(boolean)],
  gives: {},
})`
  update notifications.message as message
  set status = settled.status,
    attempts = message.attempts - settled.is_unused::int,
    due_at = clock_timestamp() + settled.wait_ms * interval '1 millisecond',
    last_failure = coalesce(settled.failure, case settled.status when 'pending' then message.last_failure end),
    ended_at = case settled.status when 'pending' then null else clock_timestamp() end,
    -- A code has gone to the one whom it is for; nobody else needs it.
    facts = case settled.status when 'pending' then message.facts else message.facts - 'code' end
  from unnest($1::uuid[], $2::int[], $3::text[], $4::float8[], $5::text[], $6::bool[])
    as settled (id, attempts, status, wait_ms, failure, is_unused)
  where message.id = settled.id
    and (message.status = 'pending' and message.attempts = settled.attempts
      or settled.status = 'sent' and message.status in ('pending', 'withdrawn'))`;

export type SettledMessage = Outcome & { readonly id: string; readonly attempts: number };

/**
 * Writes down what became of attempts. Who was so slow that another has taken a message up since has no say in it any
 * more, unless it was sent.
 */
export async function settleMessages(tx: Transaction, settled: readonly SettledMessage[]): Promise<void> {
  const rows = settled.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  await tx.execute(settleMessagesSql, [
    rows.map(({ id }) => id),
    rows.map(({ attempts }) => attempts),
    rows.map(({ status }) => status),
    rows.map(({ waitMs }) => waitMs),
    rows.map(({ failure }) => failure),
    rows.map(({ isUnused }) => isUnused),
  ]);
}

const buyersOfSql = sql("notifications.buyers-of", {
  takes: [array(as<OrderId>(uuid))],
  gives: { orderId: uuid, buyerId: uuid },
})`
  select order_id as "orderId", buyer_id as "buyerId" from notifications.message
  where about = any($1) and kind = 'order-confirmed' and channel = 'chat' and buyer_id is not null and order_id is not null`;

/** Whose orders these are, as far as their confirmation was told here. */
export async function buyersOf(tx: Transaction, orderIds: readonly OrderId[]): Promise<ReadonlyMap<string, string>> {
  if (orderIds.length === 0) return new Map();
  const rows = await tx.query(buyersOfSql, [orderIds]);
  return new Map(rows.map(({ orderId, buyerId }) => [orderId, buyerId]));
}

const withdrawSql = sql("notifications.withdraw", { takes: [uuid], gives: {} })`
  update notifications.message set status = 'withdrawn', ended_at = clock_timestamp(), facts = facts - 'code'
  where recipient_id = $1 and status = 'pending'`;

/** What was still to be told to this person is told no more. */
export const withdrawMessages = (tx: Transaction, personId: string): Promise<number> =>
  tx.execute(withdrawSql, [personId]);

const resendSql = sql("notifications.resend", {
  takes: [uuid],
  gives: { kind: as<MessageKind>(text), about: uuid },
})`
  update notifications.message as message
  set status = 'pending', attempts = 0, due_at = clock_timestamp(), ended_at = null
  where id = $1 and status = 'dead' and kind <> 'confirm-address' and not exists (
    select from notifications.bulk_message as bulk where bulk.id = message.about and bulk.status = 'cancelled')
  returning kind, about`;

/**
 * Has a dead message sent again, under its old id. Gives what it was; undefined where it is not dead, is a question whose
 * code nobody has any more, or belongs to a bulk message that was cancelled.
 */
export const resendMessage = async (tx: Transaction, id: string) => (await tx.query(resendSql, [id]))[0];

const resendDeadSql = sql("notifications.resend-dead", { takes: [text, bigint], gives: {} })`
  update notifications.message
  set status = 'pending', attempts = 0, due_at = clock_timestamp(), ended_at = null
  where id = any (array(
    select id from notifications.message
    where channel = $1 and status = 'dead' and kind not in ('confirm-address', 'news') order by id limit $2 for update))`;

/** The same for the oldest dead messages of a channel, those of bulk messages excepted. */
export const resendDead = (database: Queryable, channel: Channel, limit: number): Promise<number> =>
  database.execute(resendDeadSql, [channel, limit]);

const readMessageStatusSql = sql("notifications.read-message-status", {
  takes: [uuid],
  gives: { status: as<MessageStatus>(text) },
})`
  select status from notifications.message where id = $1`;

export const readMessageStatus = async (tx: Transaction, id: string): Promise<MessageStatus | undefined> =>
  (await tx.query(readMessageStatusSql, [id]))[0]?.status;

const shown = {
  id: uuid,
  kind: as<MessageKind>(text),
  channel: as<Channel>(text),
  orderId: nullable(as<OrderId>(uuid)),
  recipientId: nullable(uuid),
  language: text,
  facts: json<Content["facts"]>(),
  status: as<MessageStatus>(text),
  attempts: integer,
  lastFailure: nullable(text),
  createdAt: instant,
  dueAt: nullable(instant),
  endedAt: nullable(instant),
};

const listMessagesSql = sql("notifications.list-messages", {
  takes: [uuid, nullable(text), nullable(text), bigint],
  gives: shown,
})`
  select message.id, message.kind, message.channel, message.order_id as "orderId", message.recipient_id as "recipientId",
    message.language, message.status, message.attempts, message.last_failure as "lastFailure",
    message.created_at as "createdAt", case message.status when 'pending' then message.due_at end as "dueAt",
    message.ended_at as "endedAt",
    case message.kind when 'news' then jsonb_build_object('texts', bulk.texts) else message.facts end as facts
  from notifications.message as message
  left join notifications.bulk_message as bulk on message.kind = 'news' and bulk.id = message.about
  where message.id < $1 and ($2::text is null or message.status = $2) and ($3::text is null or message.channel = $3)
  order by message.id desc limit $4`;

const listOfOrderSql = sql("notifications.list-of-order", { takes: [uuid, as<OrderId>(uuid), bigint], gives: shown })`
  select id, kind, channel, order_id as "orderId", recipient_id as "recipientId", language, status, attempts,
    last_failure as "lastFailure", created_at as "createdAt", case status when 'pending' then due_at end as "dueAt",
    ended_at as "endedAt", facts
  from notifications.message where order_id = $2 and id < $1 order by id desc limit $3`;

const highestId = "ffffffff-ffff-ffff-ffff-ffffffffffff";

export interface MessageWish {
  readonly after?: string | undefined;
  readonly orderId?: OrderId | undefined;
  readonly status?: MessageStatus | undefined;
  readonly channel?: Channel | undefined;
  readonly limit: number;
}

/** The newest first, those before `after`; ids grow with time. */
export function listMessages(database: Queryable, { after = highestId, orderId, status, channel, limit }: MessageWish) {
  return orderId === undefined
    ? database.query(listMessagesSql, [after, status ?? null, channel ?? null, limit])
    : database.query(listOfOrderSql, [after, orderId, limit]);
}
