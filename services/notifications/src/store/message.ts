import type { OrderId } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
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
import type { ChatMessage } from "../message.ts";

export interface NewMessage {
  readonly id: string;
  readonly orderId: OrderId;
  readonly body: ChatMessage;
}

const beginAttemptsSql = sql("notifications.begin-attempts", {
  takes: [array(uuid), array(as<OrderId>(uuid)), array(json<ChatMessage>()), text, text],
  gives: { id: uuid, body: json<ChatMessage>(), attempts: integer },
})`
  insert into notifications.message as message (id, order_id, body, kind, channel)
  select id, order_id, body, $4, $5
  from unnest($1::uuid[], $2::uuid[], $3::jsonb[]) as new (id, order_id, body)
  on conflict (id) do update set attempts = message.attempts + 1, channel = excluded.channel
    where message.status = 'pending'
  returning message.id, message.body, message.attempts`;

/** Records that these messages are being sent, new ones and those tried before; gives those that were not sent yet. */
export async function beginAttempts(
  tx: Transaction,
  { messages, kind, channel }: { messages: readonly NewMessage[]; kind: "order-confirmed"; channel: string },
): Promise<{ id: string; body: ChatMessage; attempts: number }[]> {
  // In the order of their keys, so that two batches that share messages wait for each other instead of deadlocking.
  const sorted = messages.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return await tx.query(beginAttemptsSql, [
    sorted.map(({ id }) => id),
    sorted.map(({ orderId }) => orderId),
    sorted.map(({ body }) => body),
    kind,
    channel,
  ]);
}

const markSentSql = sql("notifications.mark-sent", { takes: [array(uuid)], gives: {} })`
  update notifications.message set status = 'sent', sent_at = clock_timestamp()
  where id = any($1) and status = 'pending'`;

export const markSent = (tx: Transaction, ids: readonly string[]): Promise<number> => tx.execute(markSentSql, [ids]);

const listMessagesSql = sql("notifications.list-messages", {
  takes: [nullable(uuid), nullable(as<OrderId>(uuid)), bigint],
  gives: {
    id: uuid,
    orderId: as<OrderId>(uuid),
    kind: text,
    channel: text,
    status: as<"pending" | "sent">(text),
    attempts: integer,
    text: text,
    createdAt: instant,
    sentAt: nullable(instant),
  },
})`
  select id, order_id as "orderId", kind, channel, status, attempts, body ->> 'text' as text,
    created_at as "createdAt", sent_at as "sentAt"
  from notifications.message
  where id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) and ($2::uuid is null or order_id = $2)
  order by id desc limit $3`;

/** The newest first, those before `after`; ids grow with time. */
export const listMessages = (
  database: Queryable,
  { after, orderId, limit }: { after: string | null; orderId: OrderId | null; limit: number },
) => database.query(listMessagesSql, [after, orderId, limit]);
