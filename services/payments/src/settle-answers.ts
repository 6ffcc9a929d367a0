import type { OrderId } from "@onsale/contracts/ids";
import type { Instant } from "@onsale/contracts/time";
import type { Cause } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type Answer, hear, type Payment } from "./payment.ts";
import type { PaymentsPorts } from "./ports.ts";
import { PaymentChange, recordSteps } from "./record-steps.ts";
import { lockPayments } from "./store/payment.ts";

/** What the provider said about one movement of one payment. */
export interface Heard {
  readonly orderId: OrderId;
  readonly movement: string;
  readonly answer: Answer;
  /** Absent where it was found out later: then it is what last moved the payment. */
  readonly cause?: Cause;
}

/**
 * Settles what the provider said, at `now`, whichever way it reached us: as the answer to a call, to a query, or by webhook. All
 * three may say the same at once; the payment's row lock puts them in a line, and the first is the one that counts.
 */
export async function settleAnswers(
  tx: Transaction,
  heard: readonly Heard[],
  { now, askingAgain }: { readonly now: Instant } & Pick<PaymentsPorts, "askingAgain">,
): Promise<void> {
  const payments = await lockPayments(tx, [...new Set(heard.map(({ orderId }) => orderId))]);
  const changes = new Map([...payments].map(([orderId, payment]) => [orderId, new PaymentChange(payment)]));
  for (const { orderId, movement, answer, cause } of heard) {
    const change = changes.get(orderId);
    if (change?.after === undefined || change.after.ask?.movement !== movement) continue;
    const before = change.after;
    change.add(hear(before, movement, answer, now), cause ?? before.cause);
    change.askAgain = whenToAsk(before, change.after, answer);
  }
  await recordSteps(tx, changes.values(), askingAgain);
}

/** The next question that an answer led to has nobody to ask it but the job; so has one whose answer was lost. */
function whenToAsk(before: Payment, { ask }: Payment, answer: Answer): "at-once" | "later" | undefined {
  if (ask === null) return undefined;
  const isNext = ask.movement !== before.ask?.movement;
  return isNext && answer.kind !== "refused" ? "at-once" : "later";
}
