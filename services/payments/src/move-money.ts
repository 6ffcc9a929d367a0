import type { OrderId } from "@onsale/contracts/ids";
import { orderPayable, orderReturned, orderSecured, orderWithdrawn } from "@onsale/contracts/orders";
import { causedBy, type Delivered, type Prepared } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { askProvider, findOut, questionOf } from "./ask-provider.ts";
import {
  type Answer,
  begin,
  failuresIn,
  isUnsent,
  neverBegun,
  type Payment,
  type Step,
  secure,
  takeBack,
  withdraw,
} from "./payment.ts";
import type { PaymentsPorts } from "./ports.ts";
import { PaymentChange, recordSteps } from "./record-steps.ts";
import { settleAtOnce } from "./settle-answers.ts";
import { lockPayments } from "./store/payment.ts";
import { noteFailures, readChoice } from "./store/provider-choice.ts";

/** What an order wants of its payment. They are one consumer's, so that those of one order are served in order. */
export const moneyEvents = [orderPayable, orderSecured, orderWithdrawn, orderReturned] as const;
export type MoneyEvent = Delivered<(typeof moneyEvents)[number]>;

/** A payment's open question, as it was prepared. */
export interface Asking {
  readonly payment: Payment;
  /** Whether nobody can have asked it before: it was stored for this call. */
  readonly isFirst: boolean;
}

/**
 * Records what is to be asked for a batch of events, with the keys to ask it under, before anything is asked: whatever
 * dies afterwards, the same question is asked again. Seeing an event again gives the same question again.
 */
export async function prepareMoves(
  tx: Transaction,
  events: readonly MoneyEvent[],
  { clock, ids, askingAgain, providers }: PaymentsPorts,
): Promise<Prepared<Asking>[]> {
  const [payments, choice] = await Promise.all([
    lockPayments(tx, [...new Set(events.map(({ data }) => data.orderId))]),
    // Only a payment that begins has to be given to somebody.
    events.some(({ type }) => type === orderPayable.type) ? readChoice(tx) : undefined,
  ]);
  const provider = choice?.active ?? providers[0]?.name ?? null;
  const changes = new Map<OrderId, PaymentChange>();
  for (const event of events) {
    const { orderId } = event.data;
    const change = changes.get(orderId) ?? new PaymentChange(payments.get(orderId));
    if (change.after === undefined && isNoMatterOfCards(event)) continue;
    changes.set(orderId, change);
    // An order that was paid with points alone has no payment, and its returns owe the card nothing.
    if (event.type === "order.returned.v1" && event.data.refundMinor === 0 && change.after === undefined) continue;
    change.add(decide(change.after, event, { now: clock.now(), newPaymentId: ids.uuid, provider }), causedBy(event));
  }
  const prepared = events.flatMap((event): Prepared<Asking>[] => {
    const { before, after: payment } = changes.get(event.data.orderId) ?? {};
    if (payment === undefined || !isAskedBy(payment, event)) return [];
    return [{ eventId: event.id, work: { payment, isFirst: before === undefined } }];
  });
  leaveRestToJob(changes.values(), prepared);
  await recordSteps(tx, changes.values(), askingAgain);
  return prepared;
}

// Every provider remembers a key for hours: a repetition within a minute is safe, and a query would be a second call.
const lateMs = 60_000;

/**
 * Asks the provider, and where the question was asked a while ago, finds out first what became of it: an event that is
 * redriven days later must not charge under a key that the provider has forgotten. Whatever goes wrong is an answer,
 * never an exception: an unknown outcome does not stop the order's next event.
 */
export function callProvider(
  { payment }: Asking,
  { providers, clock }: PaymentsPorts,
  signal: AbortSignal,
): Promise<Answer> {
  const question = questionOf(payment);
  const now = clock.now();
  return Date.parse(now) - Date.parse(question.askedAt) > lateMs
    ? findOut(providers, question, now, signal)
    : askProvider(providers, question, signal);
}

/** Records what the provider answered. */
export async function settleMoves(
  tx: Transaction,
  settled: readonly { readonly event: MoneyEvent; readonly work: Asking; readonly outcome: Answer }[],
  { clock, askingAgain }: PaymentsPorts,
): Promise<void> {
  const heard = settled.map(({ event, work, outcome }) => ({
    asked: work.payment,
    answer: outcome,
    neverSent: work.isFirst && isUnsent(outcome) ? { tries: 0 } : undefined,
    cause: causedBy(event),
  }));
  await settleAtOnce(tx, heard, { now: clock.now(), askingAgain });
  const failures = failuresIn(heard.map(({ asked, answer }) => ({ provider: asked.provider, answer })));
  await noteFailures(tx, failures);
}

interface Given {
  readonly now: string;
  readonly newPaymentId: () => string;
  /** Whom new payments go to. */
  readonly provider: string | null;
}

function decide(payment: Payment | undefined, event: MoneyEvent, given: Given): Step {
  return payment === undefined ? decideFirst(event, given) : decideNext(payment, event, given.now);
}

function decideNext(payment: Payment, event: MoneyEvent, now: string): Step {
  switch (event.type) {
    case "order.payable.v1":
      return { payment, facts: [], moved: [], incidents: [] };
    case "order.secured.v1":
      return secure(payment, now);
    case "order.withdrawn.v1":
      return withdraw(payment, now);
    case "order.returned.v1":
      return takeBack(payment, { returnId: event.data.returnId, amountMinor: event.data.refundMinor }, now);
    default:
      return event satisfies never;
  }
}

/** Goods of an order that was paid with points alone came back: nothing of it is a card's. */
const isNoMatterOfCards = (event: MoneyEvent): boolean =>
  event.type === "order.returned.v1" && event.data.refundMinor === 0;

/** For an order without a payment. */
function decideFirst(event: MoneyEvent, { now, newPaymentId, provider }: Given): Step {
  const first = { orderId: event.data.orderId, paymentId: newPaymentId(), cause: causedBy(event) };
  switch (event.type) {
    case "order.payable.v1": {
      const { buyerId, amountMinor, currency } = event.data;
      return begin({ ...first, buyerId, amountMinor, currency, provider }, now);
    }
    case "order.withdrawn.v1":
      return neverBegun(first);
    case "order.secured.v1":
    case "order.returned.v1":
      // Only a lost event could bring an order so far without a payment; its key is parked, and a person looks.
      throw new Error(`${event.type} came for order ${event.data.orderId}, which never was payable.`);
    default:
      return event satisfies never;
  }
}

/** Whether the open question is the one that this event is about. */
function isAskedBy({ ask, status }: Payment, event: MoneyEvent): boolean {
  if (ask === null) return false;
  switch (event.type) {
    case "order.payable.v1":
      return ask.kind === "authorise";
    case "order.secured.v1":
      return ask.kind === "capture";
    case "order.withdrawn.v1":
      // Once the order was told that the reversal goes on, it is the job's.
      return status === "WITHDRAWN";
    case "order.returned.v1":
      return ask.returnId === event.data.returnId;
    default:
      return event satisfies never;
  }
}

/** A question that is open although none of the events is about it, such as that of a withdrawn order's lost authorisation. */
function leaveRestToJob(changes: Iterable<PaymentChange>, prepared: readonly Prepared<Asking>[]): void {
  const asking = new Set(prepared.map(({ work }) => work.payment.orderId));
  for (const change of changes) {
    const { before, after } = change;
    if (after === undefined || after === before || after.ask === null || asking.has(after.orderId)) continue;
    if (!after.isUnsettled) change.askAgain = "at-once";
  }
}
