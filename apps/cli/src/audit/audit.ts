import { bigint, openDatabase, sql, type Transaction } from "@onsale/postgres";
import type { Check, Finding, Stores } from "./check.ts";
import { eventChecks } from "./event-checks.ts";
import { messageChecks } from "./message-checks.ts";
import { moneyChecks } from "./money-checks.ts";
import { orderChecks } from "./order-checks.ts";
import { providerChecks } from "./provider-checks.ts";
import { type ProviderAddress, readProviderLedger } from "./provider-ledger.ts";
import { type OpenWork, openWork, whenQuiet } from "./quiet.ts";
import { stockChecks } from "./stock-checks.ts";
import { walletChecks } from "./wallet-checks.ts";

/** Everything that can be checked at rest. */
export const checks: readonly Check[] = [
  ...stockChecks,
  ...moneyChecks,
  ...providerChecks,
  ...walletChecks,
  ...orderChecks,
  ...eventChecks,
  ...messageChecks,
];

export interface Violation {
  readonly check: string;
  /** What is wrong with which row, in words. */
  readonly what: string;
  /** How many rows are wrong in this way; a few of them are named. */
  readonly rows: number;
}

/** What `audit -o json` prints. */
export interface AuditReport {
  /** How many checks were run. */
  readonly checks: number;
  /** By check, the rows that it looked at. */
  readonly rows: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
  /** What was still under way when the snapshot was taken; null where nobody could look. */
  readonly open: OpenWork | null;
}

/** Where the books lie. */
export interface AuditedShop {
  readonly databaseUrl: string;
  readonly providers: readonly ProviderAddress[];
  readonly signal: AbortSignal;
}

/** Milliseconds that a statement of the audit may take: a full scan of millions of events and their numbering. */
const statementTimeoutMs = 600_000;

/**
 * Waits until the shop is quiet, or the wait is over, and checks every invariant over one snapshot of all stores. A store
 * that can't be reached is a violation, not a failure of the audit.
 */
export async function audit(shop: AuditedShop, { waitMs = defaultWaitMs } = {}): Promise<AuditReport> {
  const { databaseUrl: url, signal } = shop;
  const database = openDatabase({ url, connections: 1, applicationName: "audit", statementTimeoutMs });
  try {
    await whenQuiet(database, { waitMs, signal });
    return await database.transaction((tx) => auditSnapshot(tx, shop), { isolation: "repeatable read" });
  } catch (error) {
    signal.throwIfAborted();
    return { checks: checks.length, rows: {}, violations: [unreachable("database", error)], open: null };
  } finally {
    await database.close();
  }
}

/** Milliseconds until consumers and refunds under way count as stuck: a few retries of a call that takes seconds. */
const defaultWaitMs = 30_000;

/** Runs every check in this transaction, which can only read from then on. */
export async function auditSnapshot(tx: Transaction, shop: AuditedShop): Promise<AuditReport> {
  await tx.execute(readOnlySql, []);
  await tx.execute(memorySql, []);
  const [counted] = await tx.query(countOrdersSql, []);
  const hasOrders = (counted?.orders ?? 0) > 0;
  const ledgers = shop.providers.map((it) => [it.name, () => readProviderLedger(it)] as const);
  const stores: Stores = { tx, providerLedgers: new Map(ledgers) };
  const rows: Record<string, number> = {};
  const violations: Violation[] = [];
  for (const check of checks) {
    shop.signal.throwIfAborted();
    const result = await runCheck(tx, check, stores);
    if (!("error" in result)) rows[check.id] = result.rows;
    violations.push(...violationsOf(check, result, hasOrders));
  }
  return { checks: checks.length, rows, violations, open: await openWork(tx) };
}

/** Runs one check so that its failure leaves the snapshot usable for the next. */
async function runCheck(tx: Transaction, check: Check, stores: Stores): Promise<Finding | { readonly error: unknown }> {
  await tx.execute(savepointSql, []);
  try {
    return await check.run(stores);
  } catch (error) {
    await tx.execute(rollbackSql, []);
    return { error };
  }
}

function violationsOf({ id }: Check, result: Finding | { readonly error: unknown }, hasOrders: boolean): Violation[] {
  if ("error" in result) return [{ check: id, what: `It could not be checked: ${whatFailed(result.error)}`, rows: 0 }];
  const { rows, offending, examples } = result;
  if (rows === 0 && hasOrders)
    return [{ check: id, what: "There are orders, but the check found no row to look at.", rows: 0 }];
  if (offending === 0) return [];
  const more = offending - examples.length;
  return [{ check: id, what: examples.join("; ") + (more > 0 ? `; and ${more} more` : ""), rows: offending }];
}

const unreachable = (store: string, error: unknown): Violation => ({
  check: `stores.${store}`,
  what: `The ${store} can't be read: ${whatFailed(error)}`,
  rows: 0,
});

/** An AggregateError of failed connections has no message of its own. */
function whatFailed(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(whatFailed).join("; ");
  return error instanceof Error ? error.message : String(error);
}

const readOnlySql = sql("audit.read-only", { takes: [], gives: {} })`set transaction read only`;
// Enough to count the keys of millions of events without writing to disk, little enough for a small machine.
const memorySql = sql("audit.memory", { takes: [], gives: {} })`set local work_mem = '64MB'`;
const savepointSql = sql("audit.savepoint", { takes: [], gives: {} })`savepoint one_check`;
const rollbackSql = sql("audit.rollback", { takes: [], gives: {} })`rollback to savepoint one_check`;
const countOrdersSql = sql("audit.count-orders", { takes: [], gives: { orders: bigint } })`
  select count(*) as orders from orders.orders`;
