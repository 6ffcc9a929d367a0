import { array, as, bigint, integer, nullable, type Queryable, sql, type Transaction, text } from "@onsale/postgres";

export type WebhookResult = "SETTLES" | "REFUSED";

export interface ReceivedWebhook {
  readonly provider: string;
  readonly eventId: string;
  /** As the provider wrote it: of a refused event it may be anything. */
  readonly orderId: string;
  readonly result: WebhookResult;
  readonly refusal: string | null;
}

const insertSql = sql("payments.insert-webhooks", {
  takes: [array(text), array(text), array(text), array(as<WebhookResult>(text)), array(nullable(text))],
  gives: { eventId: text },
})`
  insert into payments.webhook_received (provider, event_id, order_id, result, refusal)
  select provider, event_id, order_id, result, refusal
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) as event(provider, event_id, order_id, result, refusal)
  on conflict (provider, event_id) do nothing
  returning event_id as "eventId"`;

/**
 * Writes down events of one provider that were not seen before and returns their ids. Of the same event in another transaction it waits
 * for the end, so the events must come sorted by id: two requests with the same events then can't wait for each other.
 */
export async function recordWebhooks(
  tx: Transaction,
  events: readonly ReceivedWebhook[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.query(insertSql, [
    events.map(({ provider }) => provider),
    events.map(({ eventId }) => eventId),
    events.map(({ orderId }) => orderId),
    events.map(({ result }) => result),
    events.map(({ refusal }) => refusal),
  ]);
  return new Set(rows.map(({ eventId }) => eventId));
}

const forgetSql = sql("payments.forget-webhooks", { takes: [integer, bigint], gives: {} })`
  delete from payments.webhook_received where (provider, event_id) in (
    select provider, event_id from payments.webhook_received
    where received_at < now() - make_interval(days => $1) order by received_at limit $2)`;

/** Removes up to `limit` events received more than `days` ago, and tells how many. */
export const forgetWebhooks = (queryable: Queryable, days: number, limit: number): Promise<number> =>
  queryable.execute(forgetSql, [days, limit]);
