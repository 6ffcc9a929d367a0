import type { AuditReport } from "../audit/audit.ts";
import { type LineRefusal, type Plan, stockOf, type UnitsOfSku } from "./plan.ts";
import type { ReplayOutcome } from "./replay.ts";
import type { OrderOutcome, ReplayOptions } from "./run.ts";
import { wasFulfilled } from "./take-back.ts";

/** What `replay -o json` prints. Amounts are in the currency's minor unit. */
export interface ReplayReport {
  readonly file: string;
  /** False when the shop had everything from an earlier run. */
  readonly changed: boolean;
  readonly lines: number;
  readonly invoices: number;
  readonly orders: {
    readonly submitted: number;
    readonly confirmed: number;
    readonly rejected: number;
    readonly cancelled: number;
    /** Not ended, or not accepted at all. */
    readonly pending: number;
  };
  /** Every line that is neither ordered nor a return, by the first reason that fits. */
  readonly refusedLines: Readonly<Partial<Record<LineRefusal, number>>>;
  readonly repricedLines: number;
  /** Lines of cancellations that an earlier sale of the file answers. */
  readonly returns: { readonly accepted: number; readonly refused: Readonly<Record<string, number>> };
  readonly money: {
    readonly currency: string;
    readonly capturedMinor: number;
    readonly refundedMinor: number;
    readonly pointsSpentMinor: number;
    readonly pointsReturnedMinor: number;
  };
  readonly stock: { readonly receivedUnits: number; readonly soldUnits: number; readonly returnedUnits: number };
  /** From the first order sent in this run to the last one ended. */
  readonly seconds: number;
  readonly ordersPerSecond: number;
  /** Orders that the shop did not accept, with what it said. */
  readonly notAccepted: ReplayOutcome["notAccepted"];
  readonly audit: AuditReport;
}

/** A return of goods that the order, though in the file, never got. */
const orderNotConfirmed = "ORDER_NOT_CONFIRMED";

export function reportOf(options: ReplayOptions, outcome: ReplayOutcome, audit: AuditReport): ReplayReport {
  const { plan, play, file, currency } = options;
  const accepted = outcome.returns.filter(({ refusal }) => refusal === undefined);
  const { seconds, followed } = outcome.placing;
  return {
    file,
    changed: outcome.changed,
    lines: plan.lines,
    invoices: plan.invoices,
    orders: countOrders(plan, outcome.orders),
    refusedLines: plan.refusedLines,
    repricedLines: plan.repricedLines,
    returns: { accepted: sum(accepted, ({ planned }) => planned.fileLines), refused: countRefused(outcome) },
    money: {
      currency,
      capturedMinor: sum(outcome.orders, ({ paidMinor }) => paidMinor),
      refundedMinor: sum(outcome.orders, ({ refundedMinor }) => refundedMinor),
      pointsSpentMinor: sum(outcome.orders, ({ paidPointsMinor }) => paidPointsMinor),
      pointsReturnedMinor: sum(outcome.orders, ({ refundedPointsMinor }) => refundedPointsMinor),
    },
    stock: {
      receivedUnits: sum([...plan.products.values()], (product) => stockOf(product, play.stockShare)),
      soldUnits: sum(outcome.orders.filter(wasFulfilled), ({ planned }) => unitsOf(planned.lines)),
      returnedUnits: sum(accepted, ({ planned }) => unitsOf(planned.lines)),
    },
    seconds: rounded(seconds),
    ordersPerSecond: seconds === 0 ? 0 : rounded(followed / seconds),
    notAccepted: outcome.notAccepted,
    audit,
  };
}

/** Whether there is nothing that a person has to look at. */
export const isClean = ({ orders, audit }: ReplayReport): boolean =>
  orders.pending === 0 && audit.violations.length === 0;

function countOrders(plan: Plan, orders: readonly OrderOutcome[]): ReplayReport["orders"] {
  const submitted = plan.orders.length;
  const [confirmed, rejected, cancelled] = (["CONFIRMED", "REJECTED", "CANCELLED"] as const).map(
    (status) => orders.filter((order) => order.status === status).length,
  ) as [number, number, number];
  return { submitted, confirmed, rejected, cancelled, pending: submitted - confirmed - rejected - cancelled };
}

function countRefused({ returns, unansweredLines }: ReplayOutcome): Record<string, number> {
  const counts: Record<string, number> = unansweredLines === 0 ? {} : { [orderNotConfirmed]: unansweredLines };
  for (const { planned, refusal } of returns) {
    if (refusal !== undefined) counts[refusal] = (counts[refusal] ?? 0) + planned.fileLines;
  }
  return counts;
}

const unitsOf = (lines: readonly UnitsOfSku[]): number => sum(lines, ({ quantity }) => quantity);

const sum = <Item>(items: readonly Item[], amountOf: (item: Item) => number): number =>
  items.reduce((total, item) => total + amountOf(item), 0);

const rounded = (value: number): number => Math.round(value * 100) / 100;

/** The report for a person. */
export function inWords(report: ReplayReport): string {
  const { orders, returns, money, stock, audit } = report;
  const refused = { ...report.refusedLines };
  const lines = [
    `${report.file}: ${report.lines} lines, ${report.invoices} invoices${report.changed ? "" : ", all of them known from before"}`,
    `  orders    ${orders.submitted} sent: ${orders.confirmed} confirmed, ${orders.rejected} rejected, ${orders.cancelled} cancelled, ${orders.pending} pending`,
    `  lines     ${listed(refused, "none refused", "refused")}; ${report.repricedLines} at another price`,
    `  returns   ${returns.accepted} lines accepted; ${listed(returns.refused, "none refused", "refused")}`,
    `  money     ${inPounds(money.capturedMinor, money.currency)} captured, ${inPounds(money.refundedMinor, money.currency)} refunded`,
    `  points    ${inPounds(money.pointsSpentMinor, money.currency)} spent, ${inPounds(money.pointsReturnedMinor, money.currency)} given back`,
    `  stock     ${stock.receivedUnits} units received, ${stock.soldUnits} sold, ${stock.returnedUnits} returned`,
    `  speed     ${report.seconds} s, ${report.ordersPerSecond} orders a second`,
    `  audit     ${audit.checks} checks, ${audit.violations.length} violations`,
    ...report.notAccepted.map(({ invoice, why }) => `  invoice ${invoice} was not accepted: ${why}`),
    ...audit.violations.map(({ check, what }) => `  ${check}: ${what}`),
  ];
  return lines.join("\n");
}

function listed(counts: Readonly<Record<string, number>>, none: string, what: string): string {
  const parts = Object.entries(counts).map(([reason, count]) => `${count} ${reason}`);
  return parts.length === 0 ? none : `${what}: ${parts.join(", ")}`;
}

const inPounds = (amountMinor: number, currency: string): string => `${currency} ${(amountMinor / 100).toFixed(2)}`;
