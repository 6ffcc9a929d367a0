import type { OrderId } from "@onsale/contracts/ids";
import type { Instant } from "@onsale/contracts/time";
import type { Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type Answer, hear, type Payment } from "./payment.ts";
import type { PaymentsPorts } from "./ports.ts";
import { bookAndTell, PaymentChange, recordSteps } from "./record-steps.ts";
import { closeQuestions, lockPayments } from "./store/payment.ts";

/** What the provider said about one movement of one payment. */
export interface Heard {
  readonly orderId: OrderId;
  readonly movement: string;
  readonly answer: Answer;
  /** Where nothing of the question ever left for the provider, this call included: how often the job had claimed it. */
  readonly neverSent?: NeverSent | undefined;
  /** Absent where it was found out later: then it is what last moved the payment. */
  readonly cause?: Cause;
}

export interface NeverSent {
  readonly tries: number;
}

/** When it was said, in database time, and how long to wait where it was nothing. */
export type Given = { readonly now: Instant } & Pick<PaymentsPorts, "askingAgain">;

/**
 * Settles what the provider said, whichever way it reached us: as the answer to a call, to a query, or by webhook. All
 * three may say the same at once; the payment's row lock puts them in a line, and the first is the one that counts.
 */
export async function settleAnswers(
  tx: Transaction,
  heard: readonly Heard[],
  { now, askingAgain }: Given,
): Promise<void> {
  if (heard.length === 0) return;
  const payments = await lockPayments(tx, [...new Set(heard.map(({ orderId }) => orderId))]);
  const changes = new Map([...payments].map(([orderId, payment]) => [orderId, new PaymentChange(payment)]));
  for (const { orderId, movement, answer, neverSent, cause } of heard) {
    const change = changes.get(orderId);
    if (change?.after === undefined || change.after.ask?.movement !== movement) continue;
    const before = change.after;
    change.add(hear(before, movement, answer, now), cause ?? before.cause);
    change.askAgain = whenToAsk(before, change.after, answer);
    change.neverSent = neverSent;
  }
  await recordSteps(tx, changes.values(), askingAgain);
}

/** An answer to the question of a payment, which is given as it was when it was asked. */
export interface HeardAtOnce {
  readonly asked: Payment;
  readonly answer: Answer;
  readonly neverSent?: NeverSent | undefined;
  readonly cause: Cause;
}

/**
 * Settles answers that came back to whoever had asked. Nearly all of them close a question that is still as it was asked;
 * those are decided without reading the payment again, and written on the condition that it is so. The others, and what
 * is not that simple, take the longer way.
 */
export async function settleAtOnce(tx: Transaction, heard: readonly HeardAtOnce[], given: Given): Promise<void> {
  const simple = heard.flatMap(({ asked, answer, cause }) => {
    const change = new PaymentChange(asked);
    change.add(hear(asked, asked.ask?.movement ?? "", answer, given.now), cause);
    return isClosed(change) ? [{ ...change, before: asked, after: change.after ?? asked }] : [];
  });
  const closed = await closeQuestions(tx, simple);
  const rest = heard.filter(({ asked }) => !closed.has(asked.orderId));
  await Promise.all([
    bookAndTell(
      tx,
      simple.filter(({ after }) => closed.has(after.orderId)),
    ),
    settleAnswers(
      tx,
      rest.map(({ asked, answer, neverSent, cause }) => ({
        orderId: asked.orderId,
        movement: asked.ask?.movement ?? "",
        ...{ answer, neverSent, cause },
      })),
      given,
    ),
  ]);
}

/** Whether a question was closed, and no return was part of it. */
const isClosed = ({ before, after }: PaymentChange): boolean =>
  before?.isUnsettled === false &&
  after?.ask === null &&
  after.returns === before.returns &&
  after.refundedMinor === before.refundedMinor;

/** The next question that an answer led to has nobody to ask it but the job; so has one whose answer was lost. */
function whenToAsk(before: Payment, { ask }: Payment, answer: Answer): "at-once" | "later" | undefined {
  if (ask === null) return undefined;
  const isNext = ask.movement !== before.ask?.movement;
  return isNext && answer.kind !== "refused" ? "at-once" : "later";
}
