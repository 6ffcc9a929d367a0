import type { BuyerId, ReturnId } from "@onsale/contracts/ids";
import type { Currency } from "@onsale/contracts/money";
import type { Cause } from "@onsale/messaging";
import { databaseNow, type Transaction } from "@onsale/postgres";
import { disarmDeadlines } from "@onsale/saga";
import type { Order, OrderStep } from "./order.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { areSame, decideInspection, type Finding, gathered, type InspectionDecision } from "./return-inspection.ts";
import { returnSaga } from "./return-lines.ts";
import { refusalStep, returnStep } from "./return-steps.ts";
import { quantitiesOf, type ReturnedLine } from "./returns.ts";
import { lockOrders } from "./store/order.ts";
import { readAllocations } from "./store/order-allocation.ts";
import { addReturned, readLines } from "./store/order-line.ts";
import { endInspected, readReturn, type StoredReturn } from "./store/order-return.ts";
import { telemetry } from "./telemetry.ts";

export interface InspectionReport {
  readonly returnId: ReturnId;
  readonly findings: readonly Finding[];
  readonly note: string | null;
  readonly inspectedBy: BuyerId;
  readonly cause: Cause;
}

export type InspectionOutcome =
  | { readonly kind: "inspected" | "repeated"; readonly currency: Currency; readonly after: StoredReturn }
  | { readonly kind: "unknown-return" }
  /** It was accepted when it was asked for. */
  | { readonly kind: "not-awaited" }
  | { readonly kind: "lapsed" }
  /** It was looked at before, with another result. */
  | { readonly kind: "contradicted" }
  | Exclude<InspectionDecision, { readonly kind: "inspected" }>;

/** Gives back what somebody has looked at and taken of a return, and refuses the rest of it; once per return. */
export async function inspectReturn(
  tx: Transaction,
  report: InspectionReport,
  ports: OrderPorts,
): Promise<InspectionOutcome> {
  const asked = await readReturn(tx, report.returnId);
  if (!asked) return { kind: "unknown-return" };
  const { orderId } = asked;
  const order = (await lockOrders(tx, [orderId])).get(orderId);
  if (!order) throw new Error(`The return ${report.returnId} is of the order ${orderId}, which does not exist.`);
  // Once more under the lock: somebody else may have looked meanwhile, or its time may have passed.
  const [now, held, allocations, at] = await Promise.all([
    readReturn(tx, report.returnId),
    readLines(tx, orderId),
    readAllocations(tx, orderId),
    databaseNow(tx),
  ]);
  if (now?.state !== "REQUESTED") return whatItWasBefore(order, now ?? asked, report);
  const findings = gathered(report.findings);
  const decision = decideInspection(now.lines, findings, { held, allocations });
  if (decision.kind !== "inspected") return decision;

  await store(tx, { order, report: { ...report, findings }, decision, at }, ports);
  tx.afterCommit(() => telemetry.returnInspected());
  const after = await readReturn(tx, report.returnId);
  return { kind: "inspected", currency: order.currency, after: after ?? now };
}

function whatItWasBefore(
  { currency }: Order,
  before: StoredReturn,
  { findings, note }: InspectionReport,
): InspectionOutcome {
  if (before.state === "LAPSED") return { kind: "lapsed" };
  if (before.inspectedBy === null) return { kind: "not-awaited" };
  const isSame = areSame(before.findings, findings) && before.note === note;
  return isSame ? { kind: "repeated", currency, after: before } : { kind: "contradicted" };
}

interface Inspected {
  readonly order: Order;
  readonly report: InspectionReport;
  readonly decision: Extract<InspectionDecision, { readonly kind: "inspected" }>;
  readonly at: string;
}

async function store(tx: Transaction, inspected: Inspected, ports: OrderPorts): Promise<void> {
  const { order, report, decision, at } = inspected;
  const { accepted, refundMinor, pointsMinor } = decision;
  const state = accepted.length > 0 ? "ACCEPTED" : "REFUSED";
  await Promise.all([
    endInspected(tx, { ...report, state, refundMinor, pointsMinor, endedAt: at }),
    addReturned(tx, order.orderId, together(accepted)),
    disarmDeadlines(tx, returnSaga, [report.returnId]),
    recordSteps(tx, stepsOf(inspected), ports),
  ]);
}

/** A SKU's pieces as one line, whatever they are like: one statement changes a row once. */
const together = (lines: readonly ReturnedLine[]) =>
  [...quantitiesOf(lines)].map(([sku, quantity]) => ({ sku, quantity }));

/** What is taken, and then what is not: each where there is any. */
function stepsOf({ order, report: { returnId, cause }, decision, at }: Inspected): OrderStep[] {
  const { accepted, refused, refundMinor, pointsMinor } = decision;
  const taken = { returnId, what: "return-accepted", lines: accepted, refundMinor, pointsMinor } as const;
  const first = accepted.length > 0 ? [returnStep(order, taken, { at, cause })] : [];
  if (refused.length === 0) return first;
  return [...first, refusalStep(first[0]?.order ?? order, { returnId, lines: refused }, { at, cause })];
}
