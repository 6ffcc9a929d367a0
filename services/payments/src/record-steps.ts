import {
  paymentAuthorised,
  paymentCaptured,
  paymentCaptureRefused,
  paymentDeclined,
  paymentRefunded,
  paymentReversed,
  paymentReversing,
} from "@onsale/contracts/payments";
import { type Cause, fact, type OutgoingEvent, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { closeTasksOf } from "@onsale/saga";
import type { Incident, MoneyMoved, Payment, PaymentFact, Step } from "./payment.ts";
import { recordIncidents } from "./store/incident.ts";
import { book } from "./store/ledger.ts";
import { advancePayments, insertPayments, updatePayments } from "./store/payment.ts";
import { storeReturns } from "./store/refund.ts";
import { type Backoff, deferAsking, markSettled } from "./store/unsettled.ts";
import { telemetry } from "./telemetry.ts";

/** The kind of task that calls a person to a payment that nobody can settle. */
export const unsettledTask = "payment.unsettled";

/** What a transaction changes about one payment, in one or several steps. */
export class PaymentChange {
  /** As it lies in the database, locked; absent when it is new. */
  readonly before: Payment | undefined;
  readonly events: OutgoingEvent[] = [];
  readonly moved: MoneyMoved[] = [];
  readonly incidents: Incident[] = [];
  /** When the provider is to be asked about what is open now, by the job; absent: somebody else asks, or nothing is open. */
  askAgain: "at-once" | "later" | undefined;
  /** Where nothing of what is open now ever left for the provider: how often the job had claimed it by then. */
  neverSent: { readonly tries: number } | undefined;
  #cause: Cause | undefined;
  #after: Payment | undefined;

  constructor(before: Payment | undefined) {
    this.before = before;
    this.#after = before;
  }

  get after(): Payment | undefined {
    return this.#after;
  }

  /** What the last step was taken because of. */
  get cause(): Cause | undefined {
    return this.#cause;
  }

  add({ payment, facts, moved, incidents }: Step, cause: Cause): void {
    this.#after = payment;
    this.#cause = cause;
    this.events.push(...facts.map((it) => announcement(payment, it, cause)));
    this.moved.push(...moved);
    this.incidents.push(...incidents);
  }
}

type Altered = Pick<PaymentChange, "before" | "events" | "moved" | "incidents" | "askAgain" | "neverSent"> & {
  readonly after: Payment;
};

/** Writes what the steps came to and tells it, in the transaction that holds the payments' locks. */
export async function recordSteps(tx: Transaction, changes: Iterable<PaymentChange>, backoff: Backoff): Promise<void> {
  const altered = [...changes].flatMap(alteration);
  const doubts = altered.flatMap(({ after, askAgain, neverSent }) => {
    const { orderId, provider } = after;
    const unsent = { unsentTo: neverSent ? provider : null, tries: neverSent?.tries ?? 0 };
    return askAgain ? [{ orderId, atOnce: askAgain === "at-once", ...unsent }] : [];
  });
  const settled = altered.flatMap(({ before, after }) =>
    before?.isUnsettled && !after.isUnsettled ? [after.orderId] : [],
  );
  await Promise.all([
    // First in line: a new row is the lock under which its events may be written.
    ...storePayments(tx, altered),
    storeReturns(tx, altered.flatMap(changedReturns)),
    deferAsking(tx, doubts, backoff),
    markSettled(tx, settled),
    // The person who was called need not look any more.
    closeTasksOf(tx, { kind: unsettledTask, keys: settled, closedBy: "payments", outcome: "The provider has told." }),
    bookAndTell(tx, altered),
  ]);
}

/** Books the money that moved and tells the facts of payments that are written. The transaction holds their locks. */
export async function bookAndTell(
  tx: Transaction,
  altered: readonly Omit<Altered, "before" | "askAgain" | "neverSent">[],
): Promise<void> {
  const events = altered.flatMap((it) => it.events);
  const incidents = altered.flatMap((it) =>
    it.incidents.map((incident) => ({ ...incident, orderId: it.after.orderId })),
  );
  await Promise.all([
    book(
      tx,
      altered.flatMap(({ after, moved }) => moved.map((it) => ({ ...after, ...it }))),
    ),
    recordIncidents(tx, incidents),
    publish(tx, events),
  ]);
  tx.afterCommit(() => tell(events, incidents));
}

function alteration({ before, after, askAgain, neverSent, cause, events, moved, incidents }: PaymentChange): Altered[] {
  if (after === undefined || (after === before && askAgain === undefined)) return [];
  const isUnsettled = after.ask !== null && (after.isUnsettled || askAgain !== undefined);
  const stored = { ...after, isUnsettled, cause: askAgain ? (cause ?? after.cause) : after.cause };
  return [{ before, after: stored, askAgain, neverSent, events, moved, incidents }];
}

function storePayments(tx: Transaction, altered: readonly Altered[]): Promise<void>[] {
  const [begun, known] = [
    altered.filter(({ before }) => before === undefined),
    altered.filter(({ before }) => before !== undefined),
  ];
  return [
    insertPayments(
      tx,
      begun.map(({ after }) => after),
    ),
    advancePayments(
      tx,
      known.filter(isAdvance).map(({ after }) => after),
    ),
    updatePayments(
      tx,
      known.filter((it) => !isAdvance(it)).map(({ after }) => after),
    ),
  ];
}

/** Whether nothing but the status and the question changes, and the question is about the whole amount. */
function isAdvance({ before, after, askAgain }: Altered): boolean {
  if (before === undefined || askAgain !== undefined || before.isUnsettled || after.isUnsettled) return false;
  const { ask } = after;
  return (
    after.providerId === before.providerId &&
    after.capturedMinor === before.capturedMinor &&
    after.refundedMinor === before.refundedMinor &&
    after.returns === before.returns &&
    (ask === null || (ask.returnId === null && ask.amountMinor === after.amountMinor))
  );
}

function changedReturns({ before, after }: Altered) {
  return after.returns.flatMap((it, index) =>
    before?.returns[index]?.state === it.state ? [] : [{ ...it, orderId: after.orderId, number: index + 1 }],
  );
}

function announcement(payment: Payment, told: PaymentFact, cause: Cause): OutgoingEvent {
  const { orderId, paymentId, amountMinor, currency, refundedMinor } = payment;
  const { sequence } = told;
  const ids = { orderId, paymentId };
  switch (told.kind) {
    case "authorised":
      return fact(paymentAuthorised, { data: { ...ids, amountMinor, currency }, sequence, cause });
    case "declined":
      return fact(paymentDeclined, { data: { ...ids, reason: told.reason }, sequence, cause });
    case "captured":
      return fact(paymentCaptured, { data: { ...ids, amountMinor, currency }, sequence, cause });
    case "capture-refused":
      return fact(paymentCaptureRefused, { data: { ...ids, reason: told.reason }, sequence, cause });
    case "reversing":
      return fact(paymentReversing, { data: ids, sequence, cause });
    case "reversed":
      return fact(paymentReversed, { data: { ...ids, refundedMinor, currency }, sequence, cause });
    case "refunded":
      return fact(paymentRefunded, {
        data: { ...ids, returnId: told.returnId, amountMinor: told.amountMinor, currency },
        sequence,
        cause,
      });
    default:
      return told satisfies never;
  }
}

const tellings = new Map<string, (fields: { count: number }) => void>([
  [paymentAuthorised.type, telemetry.authorised],
  [paymentDeclined.type, telemetry.declined],
  [paymentCaptured.type, telemetry.captured],
  [paymentCaptureRefused.type, telemetry.captureRefused],
  [paymentReversing.type, telemetry.reversing],
  [paymentReversed.type, telemetry.reversed],
  [paymentRefunded.type, telemetry.refunded],
]);

function tell(events: readonly OutgoingEvent[], incidents: readonly Incident[]): void {
  for (const [type, ofType] of Map.groupBy(events, ({ event }) => event.type))
    tellings.get(type)?.({ count: ofType.length });
  for (const [what, ofKind] of Map.groupBy(incidents, (incident) => incident.what)) {
    telemetry.incident({ what, count: ofKind.length });
  }
}
