/** Compares our ledger with the providers', page by page, and repairs what can be repaired. */

import { OrderId } from "@onsale/contracts/ids";
import { type Instant, later } from "@onsale/contracts/time";
import type { Database, Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { closeTasksOf, openTasks } from "@onsale/saga";
import { Compile } from "typebox/compile";
import { type PaymentsPorts, providerNamed } from "./ports.ts";
import type { StatementPeriod } from "./provider.ts";
import { compare } from "./reconciliation.ts";
import { repairFinding } from "./repair.ts";
import { readPayments } from "./store/payment.ts";
import {
  advanceComparison,
  advanceRun,
  beginRun,
  bookedOf,
  type ClaimedRun,
  claimRun,
  clearLines,
  endRun,
  findingsOf,
  forgetGone,
  insertLines,
  linesOf,
  markFinding,
  nextOrders,
  noOrder,
  readRun,
  type StoredFinding,
  storeFindings,
} from "./store/reconciliation.ts";
import { telemetry } from "./telemetry.ts";

/** The kind of task for what only a person can put right. */
export const differenceTask = "payment.ledgers-differ";

// How far a provider's clock may be behind ours: lines of before a period are matched, and miss nothing.
const clockMarginMs = 600_000;
// From an order's id to its payment: minutes, unless its events were set aside. Wide, since it costs reading alone.
const longestBeforePaymentMs = 7 * 86_400_000;
// A page takes a call of 10 s at most, and some ms to store; a process that died gives the run free after it.
const leaseMs = 30_000;
// Orders that are compared in one transaction: some ms of reading. After each the run's place moves and its lease is renewed.
const ordersAtOnce = 500;
// More differences than this are one fault and not many: a person has to look before anything is repaired.
export const findingLimit = 1_000;
// A tenth of a second's work.
const clearAtOnce = 10_000;
// A provider that does not answer a page so often does not answer today.
const pageTries = 5;

const orderId = Compile(OrderId);

/** Begins a comparison; undefined where one is under way. A job does the work. */
export async function beginReconciliation(
  tx: Transaction,
  { ids, providers }: PaymentsPorts,
  { repairs, since, operatorId }: ReconciliationWish,
): Promise<string | undefined> {
  const runId = ids.uuid();
  const provider = providers[0]?.name ?? "";
  return (await beginRun(tx, { runId, repairs, since, startedBy: operatorId, provider })) ? runId : undefined;
}

export interface ReconciliationWish {
  readonly repairs: boolean;
  /** Only payments that began since; null: all. */
  readonly since: Instant | null;
  readonly operatorId: string;
}

/** Goes on with the comparison that is under way, if there is one that no other process has in hand. */
export async function reconcile(
  { database, ports }: ServiceContext<PaymentsPorts>,
  signal: AbortSignal,
): Promise<void> {
  const claimed = await claimRun(database, leaseMs);
  if (claimed !== undefined) {
    const failure = await readStatements(database, ports, claimed, signal);
    // Told to end, or taken over: whoever claims it next goes on.
    if (failure === "left") return;
    if (failure !== undefined) await endRun(database, claimed.runId, failure);
    else await finish(database, ports, claimed, signal);
  }
  while (!signal.aborted && (await clearLines(database, clearAtOnce)));
}

async function readStatements(
  database: Database,
  { providers }: PaymentsPorts,
  claimed: ClaimedRun,
  signal: AbortSignal,
): Promise<string | undefined> {
  let place = claimed;
  while (place.provider !== null) {
    if (signal.aborted) return "left";
    const { provider, cursor, runId } = place;
    const since = place.since && later(place.since, -clockMarginMs);
    const page = await pageOf(providerNamed(providers, provider).card, { since, cursor }, signal);
    if (page.kind === "unknown") return `The statement of ${provider} can't be read: ${page.why}`;
    const lines = page.lines.map((line) => ({
      ...line,
      orderId: orderId.Check(line.reference) ? line.reference : noOrder,
    }));
    const following = providers[providers.findIndex(({ name }) => name === provider) + 1]?.name ?? null;
    const next = page.next === null ? { provider: following, cursor: null } : { provider, cursor: page.next };
    const isOurs = await database.transaction(async (tx) => {
      if (!(await advanceRun(tx, place, { ...next, lines: lines.length, leaseMs }))) return false;
      await insertLines(tx, { runId, provider }, lines);
      return true;
    });
    if (!isOurs) return "left";
    place = { ...place, ...next };
  }
  return undefined;
}

async function pageOf(
  card: PaymentsPorts["providers"][number]["card"],
  period: StatementPeriod,
  signal: AbortSignal,
): ReturnType<typeof card.statement> {
  for (let tried = 1; ; tried++) {
    const page = await card.statement(period, signal);
    if (page.kind === "page" || tried === pageTries || signal.aborted) return page;
  }
}

async function finish(
  database: Database,
  ports: PaymentsPorts,
  claimed: ClaimedRun,
  signal: AbortSignal,
): Promise<void> {
  const { runId, repairs, since } = claimed;
  if (!(await compareAll(database, ports, claimed, signal))) return;
  // What a period does not reach is not known to be gone.
  if (since === null) await forgetSettled(database, runId);
  const findings = await findingsOf(database, runId, findingLimit);
  for (const { kind, provider } of findings) telemetry.ledgersDiffer({ kind, provider });
  if (repairs) await repairAll(database, ports, findings, signal);
  await endRun(database, runId, null);
}

async function forgetSettled(database: Database, runId: string): Promise<void> {
  const gone = await forgetGone(database, runId);
  await database.transaction((tx) =>
    closeTasksOf(tx, { kind: differenceTask, keys: gone, closedBy: "payments", outcome: "The ledgers agree again." }),
  );
}

/** From where the run stands to the last order. False when told to end, or taken over: whoever claims it next goes on. */
async function compareAll(
  database: Database,
  ports: PaymentsPorts,
  claimed: ClaimedRun,
  signal: AbortSignal,
): Promise<boolean> {
  const { runId, since } = claimed;
  const oldest = since === null ? noOrder : firstIdOf(later(since, -longestBeforePaymentMs));
  if (claimed.comparedTo === noOrder) await comparePage(database, ports, runId, [noOrder]);
  for (let place = claimed; !signal.aborted; ) {
    const page = await nextOrders(database, place, { oldest, limit: ordersAtOnce });
    const last = page.at(-1);
    if (last === undefined) return true;
    await comparePage(database, ports, runId, page);
    const to = { order: last, orders: page.length, leaseMs };
    if (!(await database.transaction((tx) => advanceComparison(tx, place, to)))) return false;
    place = { ...place, comparedTo: last };
  }
  return false;
}

/** Before every id that was given at this moment or later: the first 48 bits of an id (UUID version 7) are its moment. */
function firstIdOf(moment: Instant): OrderId {
  const hex = Math.max(0, Date.parse(moment)).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000` as OrderId;
}

async function comparePage(
  database: Database,
  { ids }: PaymentsPorts,
  runId: string,
  orderIds: readonly OrderId[],
): Promise<void> {
  const [payments, lines, booked] = await database.transaction(
    // One snapshot: a payment and what is booked of it must be of the same moment.
    (tx) => Promise.all([readPayments(tx, orderIds), linesOf(tx, runId, orderIds), bookedOf(tx, orderIds, runId)]),
    { isolation: "repeatable read" },
  );
  const findings = orderIds.flatMap((id) =>
    compare({
      payment: payments.get(id),
      booked: booked.filter((it) => it.orderId === id),
      reported: lines.filter((it) => it.orderId === id),
    }),
  );
  const own = findings.map((finding) => ({ ...finding, findingId: ids.uuid() }));
  await storeFindings(database, runId, own);
}

async function repairAll(
  database: Database,
  ports: PaymentsPorts,
  findings: readonly StoredFinding[],
  signal: AbortSignal,
): Promise<void> {
  if (findings.length === findingLimit) return;
  for (const finding of findings.filter(({ state }) => state === "OPEN")) {
    if (signal.aborted) return;
    const isRepaired = finding.repair !== "PERSON" && (await repairFinding(database, ports, finding, signal));
    if (isRepaired) await markFinding(database, finding.findingId, "REPAIRED");
    // What is in doubt is left for the next run; what nothing but a person can decide is not.
    else if (finding.repair === "PERSON") await giveToPerson(database, ports, finding);
  }
}

async function giveToPerson(database: Database, { ids }: PaymentsPorts, finding: StoredFinding): Promise<void> {
  const { findingId, kind, reference, detail } = finding;
  await database.transaction(async (tx) => {
    const what = `The ledgers differ (${kind}) about ${reference}: ${detail}`;
    await openTasks(tx, [{ taskId: ids.uuid(), kind: differenceTask, key: findingId, what }]);
    await markFinding(tx, findingId, "TASK");
  });
}

/** What a run came to; undefined where there is none of this id. */
export async function showReconciliation(database: Database, runId: string) {
  const run = await readRun(database, runId);
  if (run === undefined) return undefined;
  return { ...run, findings: await findingsOf(database, runId, findingLimit) };
}
