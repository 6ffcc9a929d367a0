import type { OrderId } from "@onsale/contracts/ids";
import type { Instant } from "@onsale/contracts/time";
import {
  array,
  as,
  bigint,
  boolean,
  double,
  instant,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { StatementLine } from "../provider.ts";
import type { BookedMovement, Finding, FindingKind, Repair, ReportedLine } from "../reconciliation.ts";

/** Stands where a provider's reference is no order's id. */
export const noOrder = "00000000-0000-0000-0000-000000000000" as OrderId;

const beginSql = sql("payments.begin-reconciliation", {
  takes: [uuid, boolean, uuid, text, nullable(instant)],
  gives: {},
})`
  insert into payments.reconciliation (run_id, repairs, started_by, provider, since) values ($1, $2, $3, $4, $5)
  on conflict ((true)) where ended_at is null do nothing`;

/** False where one is under way. */
export async function beginRun(
  tx: Transaction,
  run: Pick<ClaimedRun, "runId" | "repairs" | "since"> & { readonly startedBy: string; readonly provider: string },
): Promise<boolean> {
  return (await tx.execute(beginSql, [run.runId, run.repairs, run.startedBy, run.provider, run.since])) > 0;
}

const endedWithLinesSql = sql("payments.reconciliation-to-clear", { takes: [], gives: { runId: uuid } })`
  select run_id as "runId" from payments.reconciliation where has_lines and ended_at is not null limit 1`;
const clearLinesSql = sql("payments.clear-statement", { takes: [uuid, bigint], gives: {} })`
  delete from payments.statement_line where ctid = any(array(
    select ctid from payments.statement_line where run_id = $1 limit $2))`;
const clearedSql = sql("payments.reconciliation-cleared", { takes: [uuid], gives: {} })`
  update payments.reconciliation set has_lines = false where run_id = $1`;

/** Removes up to `limit` lines of a run that has ended. True while there may be more. */
export async function clearLines(queryable: Queryable, limit: number): Promise<boolean> {
  const [run] = await queryable.query(endedWithLinesSql, []);
  if (run === undefined) return false;
  if ((await queryable.execute(clearLinesSql, [run.runId, limit])) === 0)
    await queryable.execute(clearedSql, [run.runId]);
  return true;
}

/** A run that this process works on. */
export interface ClaimedRun {
  readonly runId: string;
  readonly repairs: boolean;
  readonly since: Instant | null;
  /** Whose statement is to be read on, and from where; null when all have been read. */
  readonly provider: string | null;
  readonly cursor: string | null;
  /** Up to which order both sides have been compared. */
  readonly comparedTo: OrderId;
}

const claimSql = sql("payments.claim-reconciliation", {
  takes: [double],
  gives: {
    ...{ runId: uuid, repairs: boolean, since: nullable(instant) },
    ...{ provider: nullable(text), cursor: nullable(text), comparedTo: as<OrderId>(uuid) },
  },
})`
  update payments.reconciliation set leased_until = clock_timestamp() + make_interval(secs => $1)
  where ended_at is null and leased_until <= now()
  returning run_id as "runId", repairs, since, provider, cursor, compared_to as "comparedTo"`;

export const claimRun = async (queryable: Queryable, leaseMs: number): Promise<ClaimedRun | undefined> =>
  (await queryable.query(claimSql, [leaseMs / 1_000]))[0];

const advanceSql = sql("payments.advance-reconciliation", {
  takes: [uuid, nullable(text), nullable(text), bigint, nullable(text), nullable(text), double],
  gives: {},
})`
  update payments.reconciliation set provider = $5, cursor = $6, lines = lines + $4,
    leased_until = clock_timestamp() + make_interval(secs => $7)
  where run_id = $1 and ended_at is null and provider is not distinct from $2 and cursor is not distinct from $3`;

/** From one place of the statements to the next. False where another process has gone on meanwhile. */
export const advanceRun = async (
  tx: Transaction,
  { runId, provider, cursor }: ClaimedRun,
  to: {
    readonly provider: string | null;
    readonly cursor: string | null;
    readonly lines: number;
    readonly leaseMs: number;
  },
): Promise<boolean> =>
  (await tx.execute(advanceSql, [runId, provider, cursor, to.lines, to.provider, to.cursor, to.leaseMs / 1_000])) > 0;

const comparedSql = sql("payments.advance-comparison", {
  takes: [uuid, as<OrderId>(uuid), as<OrderId>(uuid), bigint, double],
  gives: {},
})`
  update payments.reconciliation set compared_to = $3, orders = orders + $4,
    leased_until = clock_timestamp() + make_interval(secs => $5)
  where run_id = $1 and ended_at is null and compared_to = $2`;

/** From one order to a later one, with how many there were between. False where another process has gone on meanwhile. */
export const advanceComparison = async (
  tx: Transaction,
  { runId, comparedTo }: Pick<ClaimedRun, "runId" | "comparedTo">,
  to: { readonly order: OrderId; readonly orders: number; readonly leaseMs: number },
): Promise<boolean> =>
  (await tx.execute(comparedSql, [runId, comparedTo, to.order, to.orders, to.leaseMs / 1_000])) > 0;

const endSql = sql("payments.end-reconciliation", { takes: [uuid, nullable(text)], gives: {} })`
  update payments.reconciliation set ended_at = clock_timestamp(), failure = $2 where run_id = $1 and ended_at is null`;

/** `failure`: why it could not be finished; null where it was. */
export async function endRun(queryable: Queryable, runId: string, failure: string | null): Promise<void> {
  await queryable.execute(endSql, [runId, failure]);
}

const readRunSql = sql("payments.read-reconciliation", {
  takes: [uuid],
  gives: {
    ...{ runId: uuid, repairs: boolean, since: nullable(instant), startedAt: instant, endedAt: nullable(instant) },
    ...{ failure: nullable(text), lines: bigint, orders: bigint },
  },
})`
  select run_id as "runId", repairs, since, started_at as "startedAt", ended_at as "endedAt", failure, lines, orders
  from payments.reconciliation where run_id = $1`;

export const readRun = async (queryable: Queryable, runId: string) => (await queryable.query(readRunSql, [runId]))[0];

const insertLinesSql = sql("payments.insert-statement", {
  takes: [
    uuid,
    text,
    array(as<OrderId>(uuid)),
    array(text),
    array(text),
    array(as<StatementLine["kind"]>(text)),
    array(nullable(text)),
    array(bigint),
    array(text),
  ],
  gives: {},
})`
  insert into payments.statement_line (run_id, provider, order_id, reference, provider_id, kind, key, amount_minor, currency)
  select $1, $2, order_id, reference, provider_id, kind, key, amount_minor, currency
  from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[])
    as line(order_id, reference, provider_id, kind, key, amount_minor, currency)`;

export async function insertLines(
  tx: Transaction,
  { runId, provider }: { readonly runId: string; readonly provider: string },
  lines: readonly (StatementLine & { readonly orderId: OrderId })[],
): Promise<void> {
  if (lines.length === 0) return;
  await tx.execute(insertLinesSql, [
    runId,
    provider,
    lines.map(({ orderId }) => orderId),
    lines.map(({ reference }) => reference),
    lines.map(({ providerId }) => providerId),
    lines.map(({ kind }) => kind),
    lines.map(({ key }) => key),
    lines.map(({ amountMinor }) => amountMinor),
    lines.map(({ currency }) => currency),
  ]);
}

const nextOrdersSql = sql("payments.next-orders-to-compare", {
  takes: [uuid, as<OrderId>(uuid), bigint, as<OrderId>(uuid)],
  gives: { orderId: as<OrderId>(uuid) },
})`
  select order_id as "orderId" from (
    (select distinct order_id from payments.statement_line where run_id = $1 and order_id > $2 order by order_id limit $3)
    union
    (select distinct order_id from payments.ledger_entry where order_id > greatest($2, $4) order by order_id limit $3)
  ) as either order by order_id limit $3`;

/** The next orders of which a statement says something, or our ledger, there from `oldest` on; in the order of their ids. */
export const nextOrders = async (
  queryable: Queryable,
  { runId, comparedTo }: Pick<ClaimedRun, "runId" | "comparedTo">,
  { oldest, limit }: { readonly oldest: OrderId; readonly limit: number },
): Promise<OrderId[]> =>
  (await queryable.query(nextOrdersSql, [runId, comparedTo, limit, oldest])).map(({ orderId }) => orderId);

const linesSql = sql("payments.statement-of-orders", {
  takes: [uuid, array(as<OrderId>(uuid))],
  gives: {
    ...{ orderId: as<OrderId>(uuid), provider: text, reference: text, providerId: text },
    ...{ kind: as<StatementLine["kind"]>(text), key: nullable(text), amountMinor: bigint, currency: text },
  },
})`
  select order_id as "orderId", provider, reference, provider_id as "providerId", kind, key, amount_minor as "amountMinor", currency
  from payments.statement_line where run_id = $1 and order_id = any($2::uuid[])`;

export const linesOf = (
  queryable: Queryable,
  runId: string,
  orderIds: readonly OrderId[],
): Promise<(ReportedLine & { orderId: OrderId })[]> => queryable.query(linesSql, [runId, orderIds]);

const bookedSql = sql("payments.booked-of-orders", {
  takes: [array(as<OrderId>(uuid)), uuid],
  gives: { orderId: as<OrderId>(uuid), movement: text, amountMinor: bigint, currency: text, isBeyond: boolean },
})`
  select order_id as "orderId", movement, entry.amount_minor as "amountMinor", entry.currency,
    coalesce(entry.at > run.started_at or payment.created_at < run.since, false) as "isBeyond"
  from payments.ledger_entry as entry
  left join payments.payment using (order_id)
  cross join (select started_at, since from payments.reconciliation where run_id = $2) as run
  where order_id = any($1::uuid[]) and account = 'provider'`;

/** `isBeyond`: booked since the run began, or of a payment that began before the period; the statement need not have it. */
export const bookedOf = (
  queryable: Queryable,
  orderIds: readonly OrderId[],
  runId: string,
): Promise<(BookedMovement & { orderId: OrderId })[]> => queryable.query(bookedSql, [orderIds, runId]);

export interface StoredFinding extends Finding {
  readonly findingId: string;
  readonly state: "OPEN" | "REPAIRED" | "TASK";
}

const storeFindingsSql = sql("payments.store-findings", {
  takes: [
    array(uuid),
    uuid,
    array(as<FindingKind>(text)),
    array(text),
    array(text),
    array(text),
    array(nullable(text)),
    array(bigint),
    array(text),
    array(text),
    array(as<Repair>(text)),
  ],
  gives: {},
})`
  insert into payments.reconciliation_finding as known
    (finding_id, run_id, kind, provider, about, reference, provider_id, amount_minor, currency, detail, repair)
  select finding_id, $2, kind, provider, about, reference, provider_id, amount_minor, currency, detail, repair
  from unnest($1::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[])
    as found(finding_id, kind, provider, about, reference, provider_id, amount_minor, currency, detail, repair)
  on conflict (provider, kind, about) do update set run_id = excluded.run_id, amount_minor = excluded.amount_minor,
    currency = excluded.currency, detail = excluded.detail, repair = excluded.repair,
    state = case when known.state = 'REPAIRED' then 'OPEN' else known.state end`;

/** What was found before and given to a person stays with that person; what was repaired and is there again is open again. */
export async function storeFindings(
  queryable: Queryable,
  runId: string,
  findings: readonly (Finding & { readonly findingId: string })[],
): Promise<void> {
  if (findings.length === 0) return;
  await queryable.execute(storeFindingsSql, [
    findings.map(({ findingId }) => findingId),
    runId,
    findings.map(({ kind }) => kind),
    findings.map(({ provider }) => provider),
    findings.map(({ about }) => about),
    findings.map(({ reference }) => reference),
    findings.map(({ providerId }) => providerId),
    findings.map(({ amountMinor }) => amountMinor),
    findings.map(({ currency }) => currency),
    findings.map(({ detail }) => detail),
    findings.map(({ repair }) => repair),
  ]);
}

const findingsSql = sql("payments.findings-of-run", {
  takes: [uuid, bigint],
  gives: {
    ...{ findingId: uuid, kind: as<FindingKind>(text), provider: text, about: text, reference: text },
    ...{ providerId: nullable(text), amountMinor: bigint, currency: text, detail: text },
    ...{ repair: as<Repair>(text), state: as<StoredFinding["state"]>(text) },
  },
})`
  select finding_id as "findingId", kind, provider, about, reference, provider_id as "providerId",
    amount_minor as "amountMinor", currency, detail, repair, state
  from payments.reconciliation_finding where run_id = $1 order by finding_id limit $2`;

export const findingsOf = (queryable: Queryable, runId: string, limit: number): Promise<StoredFinding[]> =>
  queryable.query(findingsSql, [runId, limit]);

const forgetGoneSql = sql("payments.forget-gone-findings", {
  takes: [uuid],
  gives: { findingId: uuid },
})`
  delete from payments.reconciliation_finding where state <> 'REPAIRED' and run_id < $1 returning finding_id as "findingId"`;

/** Forgets what earlier runs found and this one, which has compared everything, did not. Returns the ids. */
export const forgetGone = async (queryable: Queryable, runId: string): Promise<string[]> =>
  (await queryable.query(forgetGoneSql, [runId])).map(({ findingId }) => findingId);

const markSql = sql("payments.mark-finding", { takes: [uuid, as<StoredFinding["state"]>(text)], gives: {} })`
  update payments.reconciliation_finding set state = $2 where finding_id = $1`;

export async function markFinding(
  queryable: Queryable,
  findingId: string,
  state: StoredFinding["state"],
): Promise<void> {
  await queryable.execute(markSql, [findingId, state]);
}
