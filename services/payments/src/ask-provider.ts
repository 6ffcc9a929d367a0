import { type Answer, type Ask, keyOf, type Payment } from "./payment.ts";
import type { CardProvider, Unknown } from "./provider.ts";

/** Everything that the provider is told with a question; the same each time that it is asked. */
export interface Question extends Ask, Pick<Payment, "orderId" | "paymentId" | "buyerId" | "currency" | "providerId"> {
  readonly key: string;
}

/** The open question of a payment. Throws when there is none. */
export function questionOf({ ask, orderId, paymentId, buyerId, currency, providerId }: Payment): Question {
  if (ask === null) throw new Error(`Payment ${paymentId} has no open question.`);
  return { ...ask, orderId, paymentId, buyerId, currency, providerId, key: keyOf(paymentId, ask.movement) };
}

/**
 * Asks, or asks again: the key makes sure that it is done once. Whatever fails, in the adapter or here, leaves the
 * outcome unknown: the question stays stored and is asked again, and the order's next events are not held up.
 */
export async function askProvider(provider: CardProvider, question: Question, signal: AbortSignal): Promise<Answer> {
  return await orUnknown(call(provider, question, signal));
}

async function call(provider: CardProvider, question: Question, signal: AbortSignal): Promise<Answer> {
  const { kind, key, orderId, buyerId, amountMinor, currency, providerId } = question;
  if (kind === "authorise") {
    if (buyerId === null) throw new Error(`Order ${orderId} has nobody who could pay.`);
    return await provider.authorise({ key, orderId, buyerId, amountMinor, currency }, signal);
  }
  if (providerId === null) throw new Error(`The provider's name for the payment of order ${orderId} is not known.`);
  switch (kind) {
    case "capture":
      return await provider.capture({ key, providerId }, signal);
    case "void":
      return await provider.cancel({ key, providerId }, signal);
    case "refund":
      return await provider.refund({ key, providerId, amountMinor }, signal);
    default:
      return kind satisfies never;
  }
}

/**
 * Finds out what became of a question that was asked before, at `now`: asks what the provider has under its key, and
 * where it has nothing, asks the question itself once more. That nothing is there does not mean that nothing will be:
 * the first call may still be on its way; under its key it is done once. A key that the provider has forgotten protects
 * nothing; but no call is on its way for a day, so what is not there by then never was.
 */
export async function findOut(
  provider: CardProvider,
  question: Question,
  now: string,
  signal: AbortSignal,
): Promise<Answer> {
  const found = await orUnknown(provider.query(question.key, signal));
  if (found.kind !== "not-found") return found;
  const isRemembered = Date.parse(now) - Date.parse(question.askedAt) < provider.keyMemoryMs;
  return isRemembered ? await askProvider(provider, question, signal) : { kind: "refused", reason: "never_received" };
}

async function orUnknown<Outcome>(asked: Promise<Outcome>): Promise<Outcome | Unknown> {
  try {
    return await asked;
  } catch (error) {
    return { kind: "unknown", why: error instanceof Error ? error.message : String(error) };
  }
}
