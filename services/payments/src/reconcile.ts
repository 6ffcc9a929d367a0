/** Compares our ledger with the providers', page by page, and repairs what can be repaired. */

import { OrderId } from "@onsale/contracts/ids";
import type { Database, Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { closeTasksOf, openTasks } from "@onsale/saga";
import { Compile } from "typebox/compile";
import { type PaymentsPorts, providerNamed } from "./ports.ts";
import { compare } from "./reconciliation.ts";
import { repairFinding } from "./repair.ts";
import { readPayments } from "./store/payment.ts";
import {
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

// A page takes a call of 10 s at most, and some ms to store; a process that died gives the run free after it.
const leaseMs = 30_000;
// Orders that are compared in one transaction: some ms of reading.
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
  { repairs, operatorId }: { readonly repairs: boolean; readonly operatorId: string },
): Promise<string | undefined> {
  const runId = ids.uuid();
  const provider = providers[0]?.name ?? "";
  return (await beginRun(tx, { runId, repairs, startedBy: operatorId, provider })) ? runId : undefined;
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
    if (failure !== undefined) await endRun(database, claimed.runId, { failure });
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
    const page = await pageOf(providerNamed(providers, provider).card, cursor, signal);
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
  cursor: string | null,
  signal: AbortSignal,
): ReturnType<typeof card.statement> {
  for (let tried = 1; ; tried++) {
    const page = await card.statement(cursor, signal);
    if (page.kind === "page" || tried === pageTries || signal.aborted) return page;
  }
}

async function finish(
  database: Database,
  ports: PaymentsPorts,
  { runId, repairs }: ClaimedRun,
  signal: AbortSignal,
): Promise<void> {
  const orders = await compareAll(database, ports, runId);
  const gone = await forgetGone(database, runId);
  await database.transaction((tx) =>
    closeTasksOf(tx, { kind: differenceTask, keys: gone, closedBy: "payments", outcome: "The ledgers agree again." }),
  );
  const findings = await findingsOf(database, runId, findingLimit);
  for (const { kind, provider } of findings) telemetry.ledgersDiffer({ kind, provider });
  if (repairs) await repairAll(database, ports, findings, signal);
  await endRun(database, runId, { orders });
}

/** Returns how many orders either side knew something of. */
async function compareAll(database: Database, ports: PaymentsPorts, runId: string): Promise<number> {
  let orders = 0;
  await comparePage(database, ports, runId, [noOrder]);
  for (let after = noOrder; ; ) {
    const page = await nextOrders(database, runId, { after, limit: ordersAtOnce });
    if (page.length === 0) return orders;
    await comparePage(database, ports, runId, page);
    orders += page.length;
    after = page.at(-1) ?? after;
  }
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
