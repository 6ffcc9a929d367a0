import { type Answer, type Ask, keyOf, type Payment } from "./payment.ts";
import { type NamedProvider, providerNamed } from "./ports.ts";
import type { Unknown } from "./provider.ts";

/** Everything that the provider is told with a question; the same each time that it is asked. */
export interface Question
  extends Ask,
    Pick<Payment, "orderId" | "paymentId" | "buyerId" | "currency" | "provider" | "providerId"> {
  readonly key: string;
}

/** The open question of a payment. Throws when there is none. */
export function questionOf({ ask, orderId, paymentId, buyerId, currency, provider, providerId }: Payment): Question {
  if (ask === null) throw new Error(`Payment ${paymentId} has no open question.`);
  return { ...ask, orderId, paymentId, buyerId, currency, provider, providerId, key: keyOf(paymentId, ask.movement) };
}

/**
 * Asks, or asks again: the key makes sure that it is done once. Whatever fails, in the adapter or here, leaves the
 * outcome unknown: the question stays stored and is asked again, and the order's next events are not held up.
 */
export async function askProvider(providers: Providers, question: Question, signal: AbortSignal): Promise<Answer> {
  return await orUnknown(call(providers, question, signal));
}

type Providers = readonly NamedProvider[];

async function call(providers: Providers, question: Question, signal: AbortSignal): Promise<Answer> {
  const { kind, key, orderId, buyerId, amountMinor, currency, providerId } = question;
  const { card } = providerNamed(providers, question.provider);
  if (kind === "authorise") {
    if (buyerId === null) throw new Error(`Order ${orderId} has nobody who could pay.`);
    return await card.authorise({ key, orderId, buyerId, amountMinor, currency }, signal);
  }
  if (providerId === null) throw new Error(`The provider's name for the payment of order ${orderId} is not known.`);
  const followUp = { key, providerId, orderId, amountMinor, currency };
  switch (kind) {
    case "capture":
      return await card.capture(followUp, signal);
    case "void":
      return await card.cancel(followUp, signal);
    case "refund":
      return await card.refund(followUp, signal);
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
  providers: Providers,
  question: Question,
  now: string,
  signal: AbortSignal,
): Promise<Answer> {
  const found = await orUnknown(query(providers, question, signal));
  if (found.kind !== "not-found") return found;
  const { keyMemoryMs } = providerNamed(providers, question.provider).card;
  const isRemembered = Date.parse(now) - Date.parse(question.askedAt) < keyMemoryMs;
  return isRemembered ? await askProvider(providers, question, signal) : { kind: "refused", reason: "never_received" };
}

const query = async (providers: Providers, question: Question, signal: AbortSignal) =>
  await providerNamed(providers, question.provider).card.query(question, signal);

async function orUnknown<Outcome>(asked: Promise<Outcome>): Promise<Outcome | Unknown> {
  try {
    return await asked;
  } catch (error) {
    return { kind: "unknown", why: error instanceof Error ? error.message : String(error) };
  }
}
