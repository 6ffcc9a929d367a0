import type { OrderId } from "@onsale/contracts/ids";
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

export interface IncidentRow {
  readonly orderId: OrderId;
  readonly what: string;
  readonly movement: string | null;
  readonly detail: string;
}

const insertSql = sql("payments.insert-incidents", {
  takes: [array(as<OrderId>(uuid)), array(text), array(nullable(text)), array(text)],
  gives: {},
})`
  insert into payments.incident (order_id, what, movement, detail)
  select order_id, what, movement, left(detail, 500)
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as incident(order_id, what, movement, detail)`;

/** Writes down what did not go straight, for the person who looks into a payment. */
export async function recordIncidents(tx: Transaction, incidents: readonly IncidentRow[]): Promise<void> {
  if (incidents.length === 0) return;
  await tx.execute(insertSql, [
    incidents.map(({ orderId }) => orderId),
    incidents.map(({ what }) => what),
    incidents.map(({ movement }) => movement),
    incidents.map(({ detail }) => detail),
  ]);
}

const listSql = sql("payments.incidents-of-order", {
  takes: [as<OrderId>(uuid), bigint],
  gives: { what: text, movement: nullable(text), detail: text, at: instant },
})`
  select what, movement, detail, at from payments.incident
  where order_id = $1 order by order_id desc, incident_id desc limit $2`;

/** The newest first. */
export const incidentsOf = (queryable: Queryable, orderId: OrderId, limit: number) =>
  queryable.query(listSql, [orderId, limit]);
