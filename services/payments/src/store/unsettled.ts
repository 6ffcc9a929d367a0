import type { OrderId } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  boolean,
  double,
  instant,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";

/** How long to wait before the provider is asked again, in milliseconds: doubling from the first wait to the longest. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

const deferSql = sql("payments.defer-asking", {
  takes: [array(as<OrderId>(uuid)), array(boolean), double, double],
  gives: {},
})`
  insert into payments.unsettled as open (order_id, next_ask_at)
  select order_id, clock_timestamp() + make_interval(secs => case when at_once then 0 else $3::float8 end)
  from unnest($1::uuid[], $2::boolean[]) as doubt(order_id, at_once)
  order by order_id
  on conflict (order_id) do update set next_ask_at = clock_timestamp() + make_interval(secs =>
    case when excluded.next_ask_at <= clock_timestamp() then 0 else least($4::float8, $3 * power(2, least(open.tries, 30))) end)`;

/** Puts open questions into the hands of the job that asks again, some of them at once. The caller has locked the payments. */
export async function deferAsking(
  tx: Transaction,
  doubts: readonly { readonly orderId: OrderId; readonly atOnce: boolean }[],
  { firstMs, longestMs }: Backoff,
): Promise<void> {
  if (doubts.length === 0) return;
  await tx.execute(deferSql, [
    doubts.map(({ orderId }) => orderId),
    doubts.map(({ atOnce }) => atOnce),
    firstMs / 1_000,
    longestMs / 1_000,
  ]);
}

const hastenSql = sql("payments.hasten-asking", { takes: [as<OrderId>(uuid), text], gives: {} })`
  update payments.unsettled set next_ask_at = least(next_ask_at, clock_timestamp())
  where order_id = $1 and exists (select from payments.payment where order_id = $1 and provider = $2)`;

/** Has an open question of this provider asked at the job's next look. Nothing where none is open. */
export async function hastenAsking(
  queryable: Queryable,
  { orderId, provider }: { readonly orderId: OrderId; readonly provider: string },
): Promise<void> {
  await queryable.execute(hastenSql, [orderId, provider]);
}

const forgetSql = sql("payments.forget-unsettled", { takes: [array(as<OrderId>(uuid))], gives: {} })`
  delete from payments.unsettled where order_id = any($1::uuid[])`;

/** Takes away what is settled now. The caller has locked the payments. */
export async function markSettled(tx: Transaction, orderIds: readonly OrderId[]): Promise<void> {
  if (orderIds.length > 0) await tx.execute(forgetSql, [orderIds]);
}

// now() and not clock_timestamp(): what may change while the statement runs can't be looked up in an index.
const claimSql = sql("payments.claim-unsettled", {
  takes: [bigint, double],
  gives: { orderId: as<OrderId>(uuid), now: instant },
})`
  update payments.unsettled as open set tries = tries + 1, next_ask_at = clock_timestamp() + make_interval(secs => $2)
  from (
    select order_id from payments.unsettled
    where next_ask_at <= now() order by next_ask_at limit $1 for update skip locked
  ) as due
  where open.order_id = due.order_id
  returning open.order_id as "orderId", clock_timestamp() as now`;

/** Takes the questions that are due, the longest waiting first, and puts them off by `leaseMs` for everybody else. */
export const claimUnsettled = (
  queryable: Queryable,
  { limit, leaseMs }: { readonly limit: number; readonly leaseMs: number },
): Promise<{ orderId: OrderId; now: string }[]> => queryable.query(claimSql, [limit, leaseMs / 1_000]);

const overdueSql = sql("payments.claim-overdue", {
  takes: [double, bigint],
  gives: { orderId: as<OrderId>(uuid), since: instant },
})`
  update payments.unsettled as open set called_at = clock_timestamp()
  from (
    select order_id from payments.unsettled
    where called_at is null and since < now() - make_interval(secs => $1)
    order by since limit $2 for update skip locked
  ) as overdue
  where open.order_id = overdue.order_id
  returning open.order_id as "orderId", open.since`;

/** Those unsettled for longer than `boundMs` for which no person was called yet; each is given once. */
export const claimOverdue = (
  tx: Transaction,
  { boundMs, limit }: { readonly boundMs: number; readonly limit: number },
): Promise<{ orderId: OrderId; since: string }[]> => tx.query(overdueSql, [boundMs / 1_000, limit]);

const countSql = sql("payments.count-unsettled", {
  takes: [bigint],
  gives: { count: bigint, oldestSeconds: double },
})`
  select count(*) as count, coalesce(extract(epoch from now() - min(since))::float8, 0) as "oldestSeconds"
  from (select since from payments.unsettled order by next_ask_at limit $1) as open`;

/** How many questions are open, counted up to `limit`, and how long the oldest of them has been. */
export async function countUnsettled(
  queryable: Queryable,
  limit: number,
): Promise<{ count: number; oldestSeconds: number }> {
  const [row] = await queryable.query(countSql, [limit]);
  return row ?? { count: 0, oldestSeconds: 0 };
}
