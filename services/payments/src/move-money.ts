import type { OrderId } from "@onsale/contracts/ids";
import { causedBy, type Prepared } from "@onsale/messaging";
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
import { type MoneyEvent, type Wanted, wantedBy } from "./wanted-of-payment.ts";

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
  const wishes = events.flatMap((event) => {
    const wanted = wantedBy(event);
    return wanted ? [{ event, wanted }] : [];
  });
  if (wishes.length === 0) return [];
  const [payments, choice] = await Promise.all([
    lockPayments(tx, [...new Set(wishes.map(({ event }) => event.data.orderId))]),
    // Only a payment that begins has to be given to somebody.
    wishes.some(({ wanted }) => wanted.kind === "authorise") ? readChoice(tx) : undefined,
  ]);
  const provider = choice?.active ?? providers[0]?.name ?? null;
  const changes = new Map<OrderId, PaymentChange>();
  for (const wish of wishes) {
    const { orderId } = wish.event.data;
    const change = changes.get(orderId) ?? new PaymentChange(payments.get(orderId));
    if (change.after === undefined && isOfKnown(wish.wanted)) continue;
    changes.set(orderId, change);
    change.add(
      decide(change.after, wish, { now: clock.now(), newPaymentId: ids.uuid, provider }),
      causedBy(wish.event),
    );
  }
  const prepared = wishes.flatMap(({ event, wanted }): Prepared<Asking>[] => {
    const { before, after: payment } = changes.get(event.data.orderId) ?? {};
    if (payment === undefined || !isAskedBy(payment, wanted)) return [];
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

interface Wish {
  readonly event: MoneyEvent;
  readonly wanted: Wanted;
}

const isOfKnown = (wanted: Wanted): boolean => wanted.kind !== "authorise" && wanted.ofKnown;

function decide(payment: Payment | undefined, wish: Wish, given: Given): Step {
  return payment === undefined ? decideFirst(wish, given) : decideNext(payment, wish.wanted, given.now);
}

function decideNext(payment: Payment, wanted: Wanted, now: string): Step {
  switch (wanted.kind) {
    case "authorise":
      return { payment, facts: [], moved: [], incidents: [] };
    case "capture":
      return secure(payment, now);
    case "give-back":
      return withdraw(payment, now);
    case "refund":
      return takeBack(payment, { returnId: wanted.returnId, amountMinor: wanted.amountMinor }, now);
    default:
      return wanted satisfies never;
  }
}

/** For an order without a payment. */
function decideFirst({ event, wanted }: Wish, { now, newPaymentId, provider }: Given): Step {
  const first = { orderId: event.data.orderId, paymentId: newPaymentId(), cause: causedBy(event) };
  switch (wanted.kind) {
    case "authorise": {
      const { buyerId, amountMinor, currency } = wanted;
      return begin({ ...first, buyerId, amountMinor, currency, provider }, now);
    }
    case "give-back":
      return neverBegun(first);
    case "capture":
    case "refund":
      // Only a lost event could bring an order so far without a payment; its key is parked, and a person looks.
      throw new Error(`${event.type} came for order ${event.data.orderId}, which never was payable.`);
    default:
      return wanted satisfies never;
  }
}

/** Whether the open question is the one that is wanted now. */
function isAskedBy({ ask, status }: Payment, wanted: Wanted): boolean {
  if (ask === null) return false;
  switch (wanted.kind) {
    case "authorise":
      return ask.kind === "authorise";
    case "capture":
      return ask.kind === "capture";
    case "give-back":
      // Once the order was told that the reversal goes on, it is the job's.
      return status === "WITHDRAWN";
    case "refund":
      return ask.returnId === wanted.returnId;
    default:
      return wanted satisfies never;
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
