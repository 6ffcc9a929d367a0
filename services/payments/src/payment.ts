/** What may happen to a payment. Pure: moments and ids come in as arguments, and nothing here asks or stores. */

import type { BuyerId, OrderId, PaymentId, ReturnId } from "@onsale/contracts/ids";
import type { AmountMinor, Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import type { Cause } from "@onsale/messaging";

export type PaymentStatus =
  | "AUTHORISING"
  | "AUTHORISED"
  | "DECLINED"
  | "CAPTURING"
  | "CAPTURED"
  | "CAPTURE_REFUSED"
  | "WITHDRAWN"
  | "REVERSING"
  | "REVERSED";

export type AskKind = "authorise" | "capture" | "void" | "refund";

/** The question that is open at the provider. */
export interface Ask {
  readonly kind: AskKind;
  /** `authorise`, `capture`, `void.N` or `refund.N`: unique within the payment, and part of the idempotency key. */
  readonly movement: string;
  readonly amountMinor: AmountMinor;
  /** Of the refund of a return. */
  readonly returnId: ReturnId | null;
  /** When it was first to be asked, in database time. */
  readonly askedAt: Instant;
}

/** Goods that came back, and what becomes of their price. */
export interface Return {
  readonly returnId: ReturnId;
  readonly amountMinor: AmountMinor;
  readonly state: "WANTED" | "REFUNDED" | "REFUSED";
}

export interface Payment {
  readonly orderId: OrderId;
  readonly paymentId: PaymentId;
  /** Null where the order was never payable. */
  readonly buyerId: BuyerId | null;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly status: PaymentStatus;
  /** How many facts were told of it. */
  readonly version: number;
  /** Whose it is: what may have been asked of one provider is never asked of another. Null where nothing was to be asked. */
  readonly provider: string | null;
  readonly providerId: string | null;
  readonly capturedMinor: AmountMinor;
  readonly refundedMinor: AmountMinor;
  readonly askCount: number;
  readonly ask: Ask | null;
  readonly returns: readonly Return[];
  /** Whether the open question is in the hands of the job that asks again. */
  readonly isUnsettled: boolean;
  readonly cause: Cause;
}

/** What the provider said, whichever way it reached us: as the answer to a call, to a query, or by webhook. */
export type Answer =
  | { readonly kind: "authorised"; readonly providerId: string }
  | { readonly kind: "declined"; readonly reason: string }
  /** Charged. Also the answer to a void that comes too late. */
  | { readonly kind: "captured" }
  /** Nothing is set aside any more, and nothing can be charged. */
  | { readonly kind: "cancelled" }
  /** How much, where it was asked what became of it. */
  | { readonly kind: "refunded"; readonly amountMinor?: AmountMinor }
  /** It was not done, for certain, and will not be. */
  | { readonly kind: "refused"; readonly reason: string }
  /** It may have been done, or may still be. */
  | { readonly kind: "unknown"; readonly why: string; readonly isUnsent?: boolean };

/** What the payments service tells the others. `sequence` is the payment's version. */
export type PaymentFact = { readonly sequence: number } & FactBody;

type FactBody =
  | { readonly kind: "authorised" }
  | { readonly kind: "declined"; readonly reason: string }
  | { readonly kind: "captured" }
  | { readonly kind: "capture-refused"; readonly reason: string }
  | { readonly kind: "reversing" }
  | { readonly kind: "reversed" }
  | { readonly kind: "refunded"; readonly returnId: ReturnId; readonly amountMinor: AmountMinor };

/** Money that moved, for certain: a capture to us (positive) or a refund from us (negative). */
export interface MoneyMoved {
  readonly movement: string;
  readonly amountMinor: number;
}

/** Something that did not go straight. */
export interface Incident {
  readonly what:
    | "UNKNOWN"
    | "REROUTED"
    | "DECLINED"
    | "CAPTURE_REFUSED"
    | "CHARGED_THOUGH_WITHDRAWN"
    | "REVERSAL_REFUSED"
    | "REFUND_REFUSED"
    | "RETURN_REFUSED";
  readonly movement: string | null;
  readonly detail: string;
}

/** A payment after something happened, and what came of it. */
export interface Step {
  readonly payment: Payment;
  readonly facts: readonly PaymentFact[];
  readonly moved: readonly MoneyMoved[];
  readonly incidents: readonly Incident[];
}

/** The largest number of characters of a reason that a fact may carry. */
const longestReason = 64;

/** An order may be paid: the amount is to be set aside. */
export function begin(
  order: Pick<Payment, "orderId" | "paymentId" | "amountMinor" | "currency" | "provider" | "cause"> & {
    readonly buyerId: BuyerId;
  },
  now: Instant,
): Step {
  const payment: Payment = { ...blank, ...order, status: "AUTHORISING" };
  if (payment.amountMinor === 0) return step(payment, { status: "AUTHORISED" }, { fact: { kind: "authorised" } });
  return step(payment, ask(payment, "authorise", payment.amountMinor, now));
}

/** An order was withdrawn that was never payable. Its mark keeps a late wish to be paid from charging anybody. */
export function neverBegun(order: Pick<Payment, "orderId" | "paymentId" | "cause">): Step {
  // XXX is what ISO 4217 has for "no currency".
  const payment: Payment = { ...blank, ...order, buyerId: null, amountMinor: 0, currency: "XXX", status: "WITHDRAWN" };
  return step(payment, { status: "REVERSED" }, { fact: { kind: "reversed" } });
}

/** The order's stock is finally its own: the money may be charged. */
export function secure(payment: Payment, now: Instant): Step {
  if (payment.status !== "AUTHORISED") return unchanged(payment);
  if (payment.amountMinor === 0) return step(payment, { status: "CAPTURED" }, { fact: { kind: "captured" } });
  return step(payment, { status: "CAPTURING", ...ask(payment, "capture", payment.amountMinor, now) });
}

/** The order will not be fulfilled: whatever was taken is to be given back, and nothing may be charged any more. */
export function withdraw(payment: Payment, now: Instant): Step {
  switch (payment.status) {
    case "AUTHORISING":
      // Only the provider knows whether there is something to give back; the job that asks again finds out.
      return step(payment, { status: "REVERSING" }, { fact: { kind: "reversing" } });
    case "AUTHORISED":
    case "CAPTURE_REFUSED":
    // A capture that nobody knows the outcome of is fenced by a void: either the void comes first, and the provider will
    // not capture what is cancelled, or it answers that it came too late, and the charge is refunded.
    case "CAPTURING":
      return giveBack({ ...payment, ask: null, status: "WITHDRAWN" }, now);
    case "DECLINED":
      return step(payment, { status: "REVERSED" }, { fact: { kind: "reversed" } });
    case "CAPTURED":
      return withdrawCaptured(payment, now);
    case "WITHDRAWN":
    case "REVERSING":
    case "REVERSED":
      return unchanged(payment);
    default:
      return payment.status satisfies never;
  }
}

function withdrawCaptured(payment: Payment, now: Instant): Step {
  // Returns that wait for their refund become part of the whole.
  const returns = payment.returns.map((it) =>
    it.state === "WANTED" && it.returnId !== payment.ask?.returnId ? { ...it, state: "REFUSED" as const } : it,
  );
  if (payment.ask === null) return giveBack({ ...payment, returns, status: "WITHDRAWN" }, now);
  // The refund of a return is under way; the rest follows once that is known.
  return step(payment, { returns, status: "REVERSING" }, { fact: { kind: "reversing" } });
}

/** Goods came back: their price is to be refunded, never more than what was charged. */
export function takeBack(payment: Payment, wish: Pick<Return, "returnId" | "amountMinor">, now: Instant): Step {
  if (payment.returns.some(({ returnId }) => returnId === wish.returnId)) return unchanged(payment);
  const refusal = whyNotRefundable(payment, wish.amountMinor);
  if (refusal !== undefined) {
    const returns = [...payment.returns, { ...wish, state: "REFUSED" as const }];
    return step(payment, { returns }, { incident: { what: "RETURN_REFUSED", movement: null, detail: refusal } });
  }
  const wanted = { ...payment, returns: [...payment.returns, { ...wish, state: "WANTED" as const }] };
  return refundNext(wanted, now);
}

/**
 * The provider said something about one of the payment's questions. What is said about any other question than the open
 * one is late, or a repetition, and changes nothing: the answer to the question that replaced it tells the same.
 */
export function hear(payment: Payment, movement: string, answer: Answer, now: Instant): Step {
  if (payment.ask?.movement !== movement) return unchanged(payment);
  if (answer.kind === "unknown") return stillUnknown(payment, answer.why);
  switch (payment.ask.kind) {
    case "authorise":
      return hearAuthorise(payment, answer, now);
    case "capture":
      return hearCapture(payment, answer);
    case "void":
      return hearVoid(payment, payment.ask, answer, now);
    case "refund":
      return hearRefund(payment, payment.ask, answer, now);
    default:
      return payment.ask.kind satisfies never;
  }
}

/**
 * A movement of ours that the provider says it has done, though nothing is open that could have led to it: our books are
 * older than the provider's, since a database was restored. Undefined where it does not fit what we know.
 */
export function adopt(payment: Payment, movement: string, answer: Answer, amountMinor: AmountMinor): Step | undefined {
  if (payment.ask !== null) return undefined;
  // The next question must not have the key of one that was asked before.
  const askCount = Math.max(payment.askCount, 2, Number(/\.(\d+)$/.exec(movement)?.[1] ?? 0));
  if (answer.kind === "captured" && movement === "capture" && payment.status === "AUTHORISED")
    return hearCapture({ ...payment, askCount }, answer);
  const refundedMinor = payment.refundedMinor + amountMinor;
  if (answer.kind === "refunded" && payment.status === "CAPTURED" && refundedMinor <= payment.capturedMinor)
    return step(payment, { askCount, refundedMinor }, { moved: { movement, amountMinor: -amountMinor } });
  return undefined;
}

/**
 * Gives a payment to another provider. Only for one of which nothing ever left for its present one: whoever asks must
 * know that for certain. A payment that is past that question, or withdrawn meanwhile, stays.
 */
export function reroute(payment: Payment, provider: string, now: Instant): Step {
  const { ask: open, provider: from } = payment;
  if (payment.status !== "AUTHORISING" || open?.kind !== "authorise" || from === provider) return unchanged(payment);
  const detail = `Nothing of it had left for ${from}; ${provider} is asked.`;
  return step(
    payment,
    { provider, ask: { ...open, askedAt: now } },
    { incident: { what: "REROUTED", movement: open.movement, detail } },
  );
}

/** Whether the call ended before anything of it left for the provider. What was asked before it may have left. */
export const isUnsent = (answer: Answer): boolean => answer.kind === "unknown" && answer.isUnsent === true;

/** How many answers told nothing, by provider. */
export function failuresIn(
  heard: readonly { readonly provider: string | null; readonly answer: Answer }[],
): ReadonlyMap<string, number> {
  const failed = heard.flatMap(({ provider, answer }) => (answer.kind === "unknown" && provider ? [provider] : []));
  return new Map([...Map.groupBy(failed, (name) => name)].map(([name, alike]) => [name, alike.length]));
}

/** Under which key the provider knows a movement of ours. */
export const keyOf = (paymentId: PaymentId, movement: string): string => `${paymentId}.${movement}`;

type Certain = Exclude<Answer, { kind: "unknown" }>;

function hearAuthorise(payment: Payment, answer: Certain, now: Instant): Step {
  const answered = { ...payment, ask: null };
  switch (answer.kind) {
    case "authorised": {
      const known = { ...answered, providerId: answer.providerId };
      // The order was withdrawn meanwhile, and was told that the payment is being reversed.
      if (payment.status !== "AUTHORISING") return giveBack(known, now);
      return step(known, { status: "AUTHORISED" }, { fact: { kind: "authorised" } });
    }
    case "declined":
    case "refused": {
      if (payment.status !== "AUTHORISING")
        return step(answered, { status: "REVERSED" }, { fact: { kind: "reversed" } });
      const reason = shortened(answer.reason);
      return step(
        answered,
        { status: "DECLINED" },
        {
          fact: { kind: "declined", reason },
          incident: { what: "DECLINED", movement: "authorise", detail: answer.reason },
        },
      );
    }
    default:
      return unfit(payment, answer);
  }
}

function hearCapture(payment: Payment, answer: Certain): Step {
  const answered = { ...payment, ask: null };
  switch (answer.kind) {
    case "captured":
      return step(
        answered,
        { status: "CAPTURED", capturedMinor: payment.amountMinor },
        { fact: { kind: "captured" }, moved: captureOf(payment) },
      );
    case "refused":
      return step(
        answered,
        { status: "CAPTURE_REFUSED" },
        {
          fact: { kind: "capture-refused", reason: shortened(answer.reason) },
          incident: { what: "CAPTURE_REFUSED", movement: "capture", detail: answer.reason },
        },
      );
    default:
      return unfit(payment, answer);
  }
}

function hearVoid(payment: Payment, { movement }: Ask, answer: Certain, now: Instant): Step {
  const answered = { ...payment, ask: null };
  switch (answer.kind) {
    case "cancelled":
      return step(answered, { status: "REVERSED" }, { fact: { kind: "reversed" } });
    case "captured": {
      const charged = step(
        answered,
        { capturedMinor: payment.amountMinor },
        {
          moved: captureOf(payment),
          incident: {
            what: "CHARGED_THOUGH_WITHDRAWN",
            movement,
            detail: "The void came too late; the charge is refunded.",
          },
        },
      );
      return then(charged, (it) => stillReversing(giveBack(it, now)));
    }
    case "refused":
      return refusedAgain(payment, answer.reason, now);
    default:
      return unfit(payment, answer);
  }
}

function hearRefund(payment: Payment, { movement, amountMinor, returnId }: Ask, answer: Certain, now: Instant): Step {
  switch (answer.kind) {
    case "refunded": {
      const refundedMinor = payment.refundedMinor + amountMinor;
      const moved = { movement, amountMinor: -amountMinor };
      if (returnId === null)
        return then(step(payment, { ask: null, refundedMinor }, { moved }), (it) => giveBack(it, now));
      const returns = payment.returns.map((it) =>
        it.returnId === returnId ? { ...it, state: "REFUNDED" as const } : it,
      );
      const refunded = step(
        payment,
        { ask: null, refundedMinor, returns },
        { fact: { kind: "refunded", returnId, amountMinor }, moved },
      );
      return then(refunded, (it) => (it.status === "CAPTURED" ? refundNext(it, now) : giveBack(it, now)));
    }
    case "refused":
      return refusedAgain(payment, answer.reason, now);
    default:
      return unfit(payment, answer);
  }
}

/** Asks for the next thing to give back of a withdrawn payment, or ends it when there is nothing left. */
function giveBack(payment: Payment, now: Instant): Step {
  const left = payment.capturedMinor - payment.refundedMinor;
  if (left > 0) return step(payment, ask(payment, "refund", left, now));
  const isSetAside = payment.capturedMinor === 0 && payment.providerId !== null;
  if (isSetAside) return step(payment, ask(payment, "void", payment.amountMinor, now));
  return step(payment, { status: "REVERSED" }, { fact: { kind: "reversed" } });
}

/** Asks for the refund of the first return that waits, unless something is being asked. */
function refundNext(payment: Payment, now: Instant): Step {
  if (payment.ask !== null) return unchanged(payment);
  const next = payment.returns.find(({ state }) => state === "WANTED");
  if (next === undefined) return unchanged(payment);
  const { returnId, amountMinor } = next;
  if (amountMinor > 0) return step(payment, ask(payment, "refund", amountMinor, now, returnId));
  const returns = payment.returns.map((it) => (it.returnId === returnId ? { ...it, state: "REFUNDED" as const } : it));
  const free = step(payment, { returns }, { fact: { kind: "refunded", returnId, amountMinor } });
  return then(free, (it) => refundNext(it, now));
}

function whyNotRefundable(payment: Payment, amountMinor: number): string | undefined {
  if (payment.status !== "CAPTURED") return `The payment is ${payment.status}.`;
  const wanted = payment.returns.filter(({ state }) => state === "WANTED").reduce((sum, it) => sum + it.amountMinor, 0);
  const left = payment.capturedMinor - payment.refundedMinor - wanted;
  return amountMinor <= left ? undefined : `Only ${left} of ${payment.capturedMinor} are left to refund.`;
}

function stillUnknown(payment: Payment, why: string): Step {
  if (payment.isUnsettled) return stillReversing(unchanged(payment));
  const movement = payment.ask?.movement ?? null;
  return stillReversing(step(payment, {}, { incident: { what: "UNKNOWN", movement, detail: why } }));
}

/** Tells once that the reversal goes on without its outcome being known. */
function stillReversing(before: Step): Step {
  return then(before, (payment) => {
    if (payment.status !== "WITHDRAWN" || payment.ask === null) return unchanged(payment);
    return step(payment, { status: "REVERSING" }, { fact: { kind: "reversing" } });
  });
}

/**
 * What must be given back is asked for again, under a new key: a provider gives the answer to the old one for as long as
 * it remembers it. It is never given up; a person is called when it takes too long.
 */
function refusedAgain(payment: Payment, reason: string, now: Instant): Step {
  const { ask: old } = payment;
  if (old === null) return unchanged(payment);
  const what = payment.status === "CAPTURED" ? "REFUND_REFUSED" : "REVERSAL_REFUSED";
  const again = step(payment, ask(payment, old.kind, old.amountMinor, now, old.returnId), {
    incident: { what, movement: old.movement, detail: reason },
  });
  return stillReversing(again);
}

function ask(
  payment: Payment,
  kind: AskKind,
  amountMinor: number,
  askedAt: Instant,
  returnId: ReturnId | null = null,
): Pick<Payment, "ask" | "askCount"> {
  const askCount = payment.askCount + 1;
  // A payment is authorised once and captured once, so these two have one key for ever, whoever asks however often.
  const movement = kind === "authorise" || kind === "capture" ? kind : `${kind}.${askCount}`;
  return { askCount, ask: { kind, movement, amountMinor, returnId, askedAt } };
}

const captureOf = ({ amountMinor }: Payment): MoneyMoved => ({ movement: "capture", amountMinor });

const blank = {
  version: 0,
  provider: null,
  providerId: null,
  capturedMinor: 0,
  refundedMinor: 0,
  askCount: 0,
  ask: null,
  returns: [],
  isUnsettled: false,
} as const;

const unchanged = (payment: Payment): Step => ({ payment, facts: [], moved: [], incidents: [] });

function step(
  before: Payment,
  change: Partial<Payment>,
  { fact, moved, incident }: { fact?: FactBody; moved?: MoneyMoved; incident?: Incident } = {},
): Step {
  const payment = { ...before, ...change, version: before.version + (fact ? 1 : 0) };
  return {
    payment,
    facts: fact ? [{ ...fact, sequence: payment.version }] : [],
    moved: moved ? [moved] : [],
    incidents: incident ? [incident] : [],
  };
}

function then(first: Step, next: (payment: Payment) => Step): Step {
  const second = next(first.payment);
  return {
    payment: second.payment,
    facts: [...first.facts, ...second.facts],
    moved: [...first.moved, ...second.moved],
    incidents: [...first.incidents, ...second.incidents],
  };
}

const shortened = (reason: string): string => reason.slice(0, longestReason) || "unspecified";

/** An answer to another sort of question tells nothing about this one. */
const unfit = (payment: Payment, answer: Answer): Step => stillUnknown(payment, `The answer was ${answer.kind}.`);
