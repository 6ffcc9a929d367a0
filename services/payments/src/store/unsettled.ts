import type { OrderId } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  boolean,
  double,
  instant,
  integer,
  nullable,
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
  takes: [array(as<OrderId>(uuid)), array(boolean), double, double, array(nullable(text)), array(integer)],
  gives: {},
})`
  insert into payments.unsettled as open (order_id, next_ask_at, unsent_to, tries)
  select order_id, clock_timestamp() + make_interval(secs => case when at_once then 0 else $3::float8 end), unsent_to, tries
  from unnest($1::uuid[], $2::boolean[], $5::text[], $6::int[]) as doubt(order_id, at_once, unsent_to, tries)
  order by order_id
  on conflict (order_id) do update set
    unsent_to = case when open.tries = excluded.tries then excluded.unsent_to end,
    next_ask_at = clock_timestamp() + make_interval(secs =>
      case when excluded.next_ask_at <= clock_timestamp() then 0 else least($4::float8, $3 * power(2, least(open.tries, 30))) end)`;

/** An open question that nobody waits for. */
export interface Doubt {
  readonly orderId: OrderId;
  readonly atOnce: boolean;
  /** The provider for which nothing of it ever left; null where something may have. */
  readonly unsentTo: string | null;
  /** How often the job had claimed it when that was found: who claimed it since may have sent it. */
  readonly tries: number;
}

/** Puts open questions into the hands of the job that asks again, some of them at once. The caller has locked the payments. */
export async function deferAsking(
  tx: Transaction,
  doubts: readonly Doubt[],
  { firstMs, longestMs }: Backoff,
): Promise<void> {
  if (doubts.length === 0) return;
  await tx.execute(deferSql, [
    doubts.map(({ orderId }) => orderId),
    doubts.map(({ atOnce }) => atOnce),
    firstMs / 1_000,
    longestMs / 1_000,
    doubts.map(({ unsentTo }) => unsentTo),
    doubts.map(({ tries }) => tries),
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

export interface Claimed {
  readonly orderId: OrderId;
  readonly now: string;
  /** How often it was claimed, this time included. */
  readonly tries: number;
  /** The provider for which nothing of it had ever left; null where something may have. */
  readonly unsentTo: string | null;
}

const claimed = { orderId: as<OrderId>(uuid), now: instant, tries: integer, unsentTo: nullable(text) } as const;

// now() and not clock_timestamp(): what may change while the statement runs can't be looked up in an index.
// unsent_to goes before the question is asked: a process that dies then may have sent it.
const claimSql = sql("payments.claim-unsettled", { takes: [bigint, double], gives: claimed })`
  update payments.unsettled as open
  set tries = tries + 1, next_ask_at = clock_timestamp() + make_interval(secs => $2), unsent_to = null
  from (
    select order_id, unsent_to from payments.unsettled
    where next_ask_at <= now() order by next_ask_at limit $1 for update skip locked
  ) as due
  where open.order_id = due.order_id
  returning open.order_id as "orderId", clock_timestamp() as now, open.tries, due.unsent_to as "unsentTo"`;

/** Takes the questions that are due, the longest waiting first, and puts them off by `leaseMs` for everybody else. */
export const claimUnsettled = (
  queryable: Queryable,
  { limit, leaseMs }: { readonly limit: number; readonly leaseMs: number },
): Promise<Claimed[]> => queryable.query(claimSql, [limit, leaseMs / 1_000]);

const findUnsentSql = sql("payments.find-unsent", {
  takes: [array(text), bigint],
  gives: { orderId: as<OrderId>(uuid) },
})`
  select order_id as "orderId" from payments.unsettled where unsent_to = any($1::text[]) limit $2`;

/** Questions of which nothing ever left for one of these providers. */
export const findUnsent = async (
  queryable: Queryable,
  { providers, limit }: { readonly providers: readonly string[]; readonly limit: number },
): Promise<OrderId[]> => (await queryable.query(findUnsentSql, [providers, limit])).map(({ orderId }) => orderId);

const claimUnsentSql = sql("payments.claim-unsent", {
  takes: [array(as<OrderId>(uuid)), array(text), double],
  gives: claimed,
})`
  update payments.unsettled as open
  set tries = tries + 1, next_ask_at = clock_timestamp() + make_interval(secs => $3), unsent_to = null
  from (
    select order_id, unsent_to from payments.unsettled
    where order_id = any($1::uuid[]) and unsent_to = any($2::text[]) order by order_id for update
  ) as unsent
  where open.order_id = unsent.order_id
  returning open.order_id as "orderId", clock_timestamp() as now, open.tries, unsent.unsent_to as "unsentTo"`;

/** Takes those of these questions of which still nothing left for one of these providers. The caller has locked the payments. */
export const claimUnsent = (
  tx: Transaction,
  given: { readonly orderIds: readonly OrderId[]; readonly providers: readonly string[]; readonly leaseMs: number },
): Promise<Claimed[]> => tx.query(claimUnsentSql, [given.orderIds, given.providers, given.leaseMs / 1_000]);

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
