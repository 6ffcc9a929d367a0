import type { BuyerId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { Finding, RefusalReason, Verdict } from "../return-inspection.ts";
import type { LapseReason } from "../return-steps.ts";
import type { ReturnKind } from "../returns.ts";

export type ReturnState = "REQUESTED" | "ACCEPTED" | "REFUSED" | "LAPSED";

interface ReturnRow {
  readonly returnId: ReturnId;
  readonly orderId: OrderId;
  readonly kind: ReturnKind;
  readonly state: ReturnState;
  /** To the card, and as points. */
  readonly refundMinor: number;
  readonly pointsMinor: number;
  readonly requestedAt: string;
  /** Null: nobody looks at it. */
  readonly lapsesAt: string | null;
  readonly endedAt: string | null;
  readonly reason: LapseReason | null;
  readonly inspectedBy: BuyerId | null;
  readonly note: string | null;
}

export interface StoredReturn extends ReturnRow {
  readonly lines: readonly { readonly sku: Sku; readonly quantity: number; readonly acceptedQuantity: number }[];
  readonly findings: readonly Finding[];
}

export type NewReturn = Pick<
  StoredReturn,
  "returnId" | "orderId" | "kind" | "state" | "refundMinor" | "pointsMinor" | "requestedAt" | "lapsesAt"
> & { readonly lines: readonly { readonly sku: Sku; readonly quantity: number }[] };

const insertReturnSql = sql("orders.insert-return", {
  takes: [uuid, uuid, text, text, bigint, bigint, instant, nullable(instant)],
  gives: {},
})`
  insert into orders.order_return (return_id, order_id, kind, state, refund_minor, points_minor, requested_at, lapses_at, ended_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, case when $4 = 'ACCEPTED' then $7::timestamptz end)`;

const insertReturnLinesSql = sql("orders.insert-return-lines", {
  takes: [uuid, array(text), array(integer), array(integer)],
  gives: {},
})`
  insert into orders.order_return_line (return_id, sku, quantity, accepted_quantity)
  select $1::uuid, sku, quantity, accepted_quantity
  from unnest($2::text[], $3::int[], $4::int[]) as line(sku, quantity, accepted_quantity)`;

/** Writes a return that is accepted at once, or one that somebody has to look at. */
export async function insertReturn(tx: Transaction, { lines, ...row }: NewReturn): Promise<void> {
  const { returnId, orderId, kind, state, refundMinor, pointsMinor, requestedAt, lapsesAt } = row;
  await Promise.all([
    tx.execute(insertReturnSql, [returnId, orderId, kind, state, refundMinor, pointsMinor, requestedAt, lapsesAt]),
    tx.execute(insertReturnLinesSql, [
      returnId,
      lines.map((line) => line.sku),
      lines.map((line) => line.quantity),
      lines.map((line) => (state === "ACCEPTED" ? line.quantity : 0)),
    ]),
  ]);
}

const returnColumns = {
  returnId: as<ReturnId>(uuid),
  orderId: as<OrderId>(uuid),
  kind: as<ReturnKind>(text),
  state: as<ReturnState>(text),
  refundMinor: bigint,
  pointsMinor: bigint,
  requestedAt: instant,
  lapsesAt: nullable(instant),
  endedAt: nullable(instant),
  reason: nullable(as<LapseReason>(text)),
  inspectedBy: nullable(as<BuyerId>(uuid)),
  note: nullable(text),
} as const;

const readReturnSql = sql("orders.read-return", { takes: [uuid], gives: returnColumns })`
  select return_id as "returnId", order_id as "orderId", kind, state, refund_minor as "refundMinor",
    points_minor as "pointsMinor", requested_at as "requestedAt", lapses_at as "lapsesAt", ended_at as "endedAt", reason,
    inspected_by as "inspectedBy", note
  from orders.order_return where return_id = $1`;

/** The order's lock guards it: who is to change it reads it under that. */
export async function readReturn(queryable: Queryable, returnId: ReturnId): Promise<StoredReturn | undefined> {
  return (await withParts(queryable, await queryable.query(readReturnSql, [returnId])))[0];
}

const returnsOfOrderSql = sql("orders.returns-of-order", { takes: [uuid], gives: returnColumns })`
  select return_id as "returnId", order_id as "orderId", kind, state, refund_minor as "refundMinor",
    points_minor as "pointsMinor", requested_at as "requestedAt", lapses_at as "lapsesAt", ended_at as "endedAt", reason,
    inspected_by as "inspectedBy", note
  from orders.order_return where order_id = $1 order by return_id`;

/** All returns of an order, the oldest first. The order's lines bound them. */
export const returnsOfOrder = async (queryable: Queryable, orderId: OrderId): Promise<StoredReturn[]> =>
  withParts(queryable, await queryable.query(returnsOfOrderSql, [orderId]));

const openReturnsSql = sql("orders.open-returns", { takes: [nullable(uuid), bigint], gives: returnColumns })`
  select return_id as "returnId", order_id as "orderId", kind, state, refund_minor as "refundMinor",
    points_minor as "pointsMinor", requested_at as "requestedAt", lapses_at as "lapsesAt", ended_at as "endedAt", reason,
    inspected_by as "inspectedBy", note
  from orders.order_return
  where state = 'REQUESTED' and return_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
  order by return_id limit $2`;

/** Returns that nobody has looked at, the oldest first, behind `after`. */
export const openReturns = async (
  queryable: Queryable,
  { after, limit }: { readonly after: ReturnId | null; readonly limit: number },
): Promise<StoredReturn[]> => withParts(queryable, await queryable.query(openReturnsSql, [after, limit]));

const linesSql = sql("orders.lines-of-returns", {
  takes: [array(uuid)],
  gives: { returnId: as<ReturnId>(uuid), sku: as<Sku>(text), quantity: integer, acceptedQuantity: integer },
})`
  select return_id as "returnId", sku, quantity, accepted_quantity as "acceptedQuantity"
  from orders.order_return_line where return_id = any($1::uuid[]) order by return_id, sku`;

const findingsSql = sql("orders.findings-of-returns", {
  takes: [array(uuid)],
  gives: {
    returnId: as<ReturnId>(uuid),
    sku: as<Sku>(text),
    quantity: integer,
    verdict: as<Verdict>(text),
    reason: nullable(as<RefusalReason>(text)),
  },
})`
  select return_id as "returnId", sku, quantity, verdict, reason
  from orders.order_return_finding where return_id = any($1::uuid[]) order by return_id, sku, verdict, reason`;

async function withParts(queryable: Queryable, rows: readonly ReturnRow[]): Promise<StoredReturn[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ returnId }) => returnId);
  const [lines, findings] = await Promise.all([queryable.query(linesSql, [ids]), queryable.query(findingsSql, [ids])]);
  const linesOf = Map.groupBy(lines, ({ returnId }) => returnId);
  const findingsOf = Map.groupBy(findings, ({ returnId }) => returnId);
  return rows.map((row) => ({
    ...row,
    lines: (linesOf.get(row.returnId) ?? []).map(({ returnId: _, ...line }) => line),
    findings: (findingsOf.get(row.returnId) ?? []).map(({ returnId: _, ...finding }) => finding),
  }));
}

const requestedUnitsSql = sql("orders.requested-units", {
  takes: [uuid],
  gives: { sku: as<Sku>(text), quantity: bigint },
})`
  select line.sku, sum(line.quantity)::bigint as quantity
  from orders.order_return as asked join orders.order_return_line as line using (return_id)
  where asked.order_id = $1 and asked.state = 'REQUESTED'
  group by line.sku`;

/** How many pieces of an order its buyer wants to send back that nobody has looked at yet. */
export const requestedUnits = async (tx: Transaction, orderId: OrderId): Promise<Map<Sku, number>> =>
  new Map((await tx.query(requestedUnitsSql, [orderId])).map(({ sku, quantity }) => [sku, quantity]));

const returnsWithOrdersSql = sql("orders.returns-with-orders", {
  takes: [array(uuid)],
  gives: { returnId: as<ReturnId>(uuid), orderId: as<OrderId>(uuid) },
})`
  select return_id as "returnId", order_id as "orderId" from orders.order_return where return_id = any($1::uuid[])`;

/** Whose these returns are. */
export const returnsWithOrders = (
  tx: Transaction,
  returnIds: readonly ReturnId[],
): Promise<{ returnId: ReturnId; orderId: OrderId }[]> => tx.query(returnsWithOrdersSql, [returnIds]);

const openReturnsOfOrdersSql = sql("orders.open-returns-of-orders", {
  takes: [array(uuid)],
  gives: { returnId: as<ReturnId>(uuid), orderId: as<OrderId>(uuid) },
})`
  select return_id as "returnId", order_id as "orderId"
  from orders.order_return where order_id = any($1::uuid[]) and state = 'REQUESTED' order by order_id, return_id`;

/** What is still to be looked at of these orders. The caller holds their locks. */
export const openReturnsOfOrders = (
  tx: Transaction,
  orderIds: readonly OrderId[],
): Promise<{ returnId: ReturnId; orderId: OrderId }[]> => tx.query(openReturnsOfOrdersSql, [orderIds]);

const lapseReturnsSql = sql("orders.lapse-returns", { takes: [array(uuid), text, instant], gives: {} })`
  update orders.order_return set state = 'LAPSED', reason = $2, ended_at = $3
  where return_id = any($1::uuid[]) and state = 'REQUESTED'`;

/** Ends returns that nobody has looked at. The caller holds their orders' locks. */
export async function endUnseen(
  tx: Transaction,
  {
    returnIds,
    reason,
    at,
  }: { readonly returnIds: readonly ReturnId[]; readonly reason: LapseReason; readonly at: string },
): Promise<void> {
  if (returnIds.length > 0) await tx.execute(lapseReturnsSql, [returnIds, reason, at]);
}

/** How a return ends that somebody has looked at. */
export type InspectedReturn = Pick<ReturnRow, "returnId" | "refundMinor" | "pointsMinor" | "note"> & {
  readonly state: "ACCEPTED" | "REFUSED";
  readonly inspectedBy: BuyerId;
  readonly endedAt: string;
  readonly findings: readonly Finding[];
};

const endInspectedSql = sql("orders.end-inspected-return", {
  takes: [uuid, text, bigint, bigint, uuid, nullable(text), instant],
  gives: {},
})`
  update orders.order_return
  set state = $2, refund_minor = $3, points_minor = $4, inspected_by = $5, note = $6, ended_at = $7
  where return_id = $1`;

const acceptLinesSql = sql("orders.accept-return-lines", {
  takes: [uuid, array(text), array(integer)],
  gives: {},
})`
  update orders.order_return_line line set accepted_quantity = accepted.quantity
  from (select sku, sum(quantity)::int as quantity from unnest($2::text[], $3::int[]) as found(sku, quantity) group by sku)
    as accepted
  where line.return_id = $1 and line.sku = accepted.sku`;

const insertFindingsSql = sql("orders.insert-return-findings", {
  takes: [uuid, array(text), array(text), array(nullable(text)), array(integer)],
  gives: {},
})`
  insert into orders.order_return_finding (return_id, sku, verdict, reason, quantity)
  select $1::uuid, sku, verdict, reason, quantity
  from unnest($2::text[], $3::text[], $4::text[], $5::int[]) as found(sku, verdict, reason, quantity)`;

/** Writes what was found. The caller holds the order's lock. */
export async function endInspected(tx: Transaction, { findings, ...ended }: InspectedReturn): Promise<void> {
  const { returnId, state, refundMinor, pointsMinor, inspectedBy, note, endedAt } = ended;
  const accepted = findings.filter(({ verdict }) => verdict !== "REFUSED");
  await Promise.all([
    tx.execute(endInspectedSql, [returnId, state, refundMinor, pointsMinor, inspectedBy, note, endedAt]),
    tx.execute(acceptLinesSql, [returnId, accepted.map(({ sku }) => sku), accepted.map(({ quantity }) => quantity)]),
    tx.execute(insertFindingsSql, [
      returnId,
      findings.map(({ sku }) => sku),
      findings.map(({ verdict }) => verdict),
      findings.map(({ reason }) => reason),
      findings.map(({ quantity }) => quantity),
    ]),
  ]);
}

/** What came of a return: money given back, or goods put away. */
export interface ReturnTold {
  readonly returnId: ReturnId;
  readonly what: "card" | "points" | "goods";
}

const claimReturnsToldSql = sql("orders.claim-returns-told", {
  takes: [array(uuid), array(text)],
  gives: { returnId: as<ReturnId>(uuid), what: as<ReturnTold["what"]>(text) },
})`
  insert into orders.order_return_told (return_id, what)
  select distinct return_id, what from unnest($1::uuid[], $2::text[]) as told(return_id, what)
  on conflict do nothing
  returning return_id as "returnId", what`;

/** Of what came of returns, what was never told before. */
export async function claimReturnsTold(tx: Transaction, told: readonly ReturnTold[]): Promise<ReturnTold[]> {
  if (told.length === 0) return [];
  return tx.query(claimReturnsToldSql, [told.map((it) => it.returnId), told.map((it) => it.what)]);
}
