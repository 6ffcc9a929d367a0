/**
 * Toss Payments by its public API (core API, version 1), for payments that the buyer authenticates in its window. It has no
 * authorisation that a merchant could ask for: docs/decisions says how ours is mapped, and what it promises less.
 */

import { decimalsOf } from "@onsale/contracts/money";
import { type Instant, later } from "@onsale/contracts/time";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import type {
  AskedBefore,
  AuthoriseOutcome,
  AuthoriseRequest,
  CancelOutcome,
  CaptureOutcome,
  CardProvider,
  FollowUpRequest,
  QueryOutcome,
  RefundOutcome,
  StatementOutcome,
  StatementPeriod,
  Unknown,
} from "./provider.ts";
import { NoAnswerError, type ProviderCall, ProviderLine, type ProviderReply } from "./provider-line.ts";
import { telemetry } from "./telemetry.ts";

export interface TossProviderOptions {
  /** Told with the state of its circuit. Default `toss`. */
  readonly name?: string;
  /** `https://api.tosspayments.com`, or a simulator of it. */
  readonly url: string;
  readonly secretKey: string;
  /** Calls in flight at once. Default 64. */
  readonly connections?: number;
  /** Default 1,000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds for one of the at most two attempts of a call. Default 4,500, so that a call ends within 10 s. */
  readonly attemptTimeoutMs?: number;
}

const open = { additionalProperties: true } as const;
const TossPayment = Type.Object(
  {
    paymentKey: Type.String({ minLength: 1, maxLength: 200 }),
    orderId: Type.String({ minLength: 6, maxLength: 64 }),
    status: Type.Enum([
      ...["READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT", "DONE"],
      ...["CANCELED", "PARTIAL_CANCELED", "ABORTED", "EXPIRED"],
    ]),
    totalAmount: Type.Number({ minimum: 0 }),
    currency: Type.String(),
    cancels: Type.Union([
      Type.Null(),
      Type.Array(Type.Object({ cancelAmount: Type.Number(), cancelReason: Type.String() }, open)),
    ]),
  },
  open,
);
type TossPayment = Static<typeof TossPayment>;
const paymentReply = Compile(TossPayment);
const errorReply = Compile(Type.Object({ code: Type.String({ minLength: 1 }), message: Type.String() }, open));
const transactionsReply = Compile(
  Type.Array(
    Type.Object(
      {
        transactionKey: Type.String({ minLength: 1, maxLength: 64 }),
        paymentKey: TossPayment.properties.paymentKey,
        orderId: TossPayment.properties.orderId,
        status: Type.String(),
        amount: Type.Number(),
        currency: Type.String(),
      },
      open,
    ),
    { maxItems: 1_000 },
  ),
);

/**
 * What refuses a payment for certain. Every other error leaves it open, and is found out by a query: some come after the
 * charge (ALREADY_PROCESSED_PAYMENT), some say nothing (PROVIDER_ERROR), and more may be added.
 */
const certainRefusals: ReadonlySet<string> = new Set([
  ...["REJECT_CARD_PAYMENT", "REJECT_CARD_COMPANY", "INVALID_REJECT_CARD", "INVALID_STOPPED_CARD"],
  ...["INVALID_CARD_EXPIRATION", "EXCEED_MAX_AMOUNT", "EXCEED_MAX_PAYMENT_AMOUNT", "BELOW_MINIMUM_AMOUNT"],
  ...["NOT_FOUND_PAYMENT_SESSION", "PAY_PROCESS_CANCELED", "PAY_PROCESS_ABORTED"],
  ...["NOT_CANCELABLE_PAYMENT", "NOT_CANCELABLE_AMOUNT", "ALREADY_CANCELED_PAYMENT"],
]);

// What Toss has is found by the order, by the payment and by the words of a refund, never by a key. So a key need not be
// remembered; but for an hour, a call may still be on its way that is not there yet.
const keyMemoryMs = 3_600_000;

export function createTossProvider(options: TossProviderOptions): CardProvider {
  const {
    name = "toss",
    url,
    secretKey,
    connections = 64,
    connectTimeoutMs = 1_000,
    attemptTimeoutMs = 4_500,
  } = options;
  const authorization = `Basic ${Buffer.from(`${secretKey}:`).toString("base64")}`;
  const onCircuit = (state: "open" | "closed") => telemetry.providerCircuit({ provider: name, state });
  const line = new ProviderLine({ url, authorization, connections, connectTimeoutMs, attemptTimeoutMs, onCircuit });
  const toss = new Toss(line);
  return {
    keyMemoryMs,
    authorise: (request, signal) => orUnknown(toss.authorise(request, signal)),
    capture: (request, signal) => orUnknown(toss.capture(request, signal)),
    cancel: (request, signal) => orUnknown(toss.cancel(request, signal)),
    refund: (request, signal) => orUnknown(toss.refund(request, signal)),
    query: (asked, signal) => orUnknown(toss.query(asked, signal)),
    statement: (period, signal) => orUnknown(toss.statement(period, signal)),
    probe: async (signal) => (await orUnknown(toss.find("/orders/probe-of-ours", signal))) === undefined,
    close: () => line.close(),
  };
}

class Toss {
  readonly #line: ProviderLine;

  constructor(line: ProviderLine) {
    this.#line = line;
  }

  /** The buyer's authentication in the window is the authorisation: nothing is charged until we confirm it. */
  async authorise(request: AuthoriseRequest, signal: AbortSignal): Promise<AuthoriseOutcome> {
    const payment = await this.find(`/orders/${encodeURIComponent(request.orderId)}`, signal);
    if (payment === undefined) return unknown("The buyer has not been in the payment window yet.");
    return authorisationIn(payment, request);
  }

  async capture(request: FollowUpRequest, signal: AbortSignal): Promise<CaptureOutcome> {
    const { key, providerId: paymentKey, orderId } = request;
    const body = { paymentKey, orderId, amount: toMajor(request) };
    const reply = await this.#send({ method: "POST", path: "/v1/payments/confirm", key, body }, signal);
    const payment = paymentIn(reply);
    if (payment !== undefined) return captureIn(payment) ?? unknown(`After confirming it is ${payment.status}.`);
    const code = codeIn(reply);
    if (code !== undefined && certainRefusals.has(code)) return { kind: "refused", reason: code.toLowerCase() };
    if (code !== "ALREADY_PROCESSED_PAYMENT") return senseless(reply);
    const found = await this.#byKey(paymentKey, signal);
    return (found && captureIn(found)) ?? unknown(`It is processed, and ${found?.status ?? "not there"}.`);
  }

  /** There is no void. What was not confirmed runs out by itself; until then it may still be confirmed. */
  async cancel({ providerId }: FollowUpRequest, signal: AbortSignal): Promise<CancelOutcome> {
    const payment = await this.#byKey(providerId, signal);
    return payment === undefined ? { kind: "refused", reason: "unknown_payment" } : voidOf(payment);
  }

  async refund(request: FollowUpRequest, signal: AbortSignal): Promise<RefundOutcome> {
    const { key, providerId, currency } = request;
    const path = `/v1/payments/${encodeURIComponent(providerId)}/cancel`;
    const body = { cancelReason: reasonOf(key), cancelAmount: toMajor(request), currency };
    const reply = await this.#send({ method: "POST", path, key, body }, signal);
    const payment = paymentIn(reply);
    if (payment !== undefined) return refundIn(payment, request) ?? unknown("The refund is not among its cancels.");
    const code = codeIn(reply);
    return code !== undefined && certainRefusals.has(code)
      ? { kind: "refused", reason: code.toLowerCase() }
      : senseless(reply);
  }

  async query(asked: AskedBefore, signal: AbortSignal): Promise<QueryOutcome> {
    const { kind, orderId, providerId } = asked;
    const payment =
      providerId === null
        ? await this.find(`/orders/${encodeURIComponent(orderId)}`, signal)
        : await this.#byKey(providerId, signal);
    if (payment === undefined) return { kind: "not-found" };
    switch (kind) {
      case "authorise":
        return authorisationIn(payment, asked);
      case "capture":
        return captureIn(payment) ?? { kind: "not-found" };
      case "void":
        return voidOf(payment);
      case "refund":
        return refundIn(payment, asked) ?? { kind: "not-found" };
      default:
        return kind satisfies never;
    }
  }

  async statement({ since, cursor }: StatementPeriod, signal: AbortSignal): Promise<StatementOutcome> {
    const limit = 1_000;
    const after = cursor === null ? "" : `&startingAfter=${encodeURIComponent(cursor)}`;
    const startDate = since === null ? "2000-01-01T00:00:00" : inKorea(since);
    const path = `/v1/transactions?startDate=${startDate}&endDate=2999-12-31T23:59:59&limit=${limit}${after}`;
    const reply = await this.#send({ method: "GET", path }, signal);
    if (reply.status !== 200 || !transactionsReply.Check(reply.json)) return senseless(reply);
    const lines = reply.json.map(({ paymentKey: providerId, orderId: reference, status, amount, currency }) => ({
      kind: status === "DONE" ? ("capture" as const) : ("refund" as const),
      ...{ key: null, providerId, reference, currency, amountMinor: toMinor(Math.abs(amount), currency) },
    }));
    const last = reply.json.at(-1)?.transactionKey ?? null;
    return { kind: "page", lines, next: lines.length === limit ? last : null };
  }

  /** Undefined when Toss has no such payment. */
  async find(path: string, signal: AbortSignal): Promise<TossPayment | undefined> {
    const reply = await this.#send({ method: "GET", path: `/v1/payments${path}` }, signal);
    const payment = paymentIn(reply);
    if (payment === undefined && codeIn(reply) !== "NOT_FOUND_PAYMENT") throw new NoAnswerError(senseless(reply).why);
    return payment;
  }

  #byKey(paymentKey: string, signal: AbortSignal): Promise<TossPayment | undefined> {
    return this.find(`/${encodeURIComponent(paymentKey)}`, signal);
  }

  #send(call: ProviderCall, signal: AbortSignal): Promise<ProviderReply> {
    return this.#line.send(call, signal);
  }
}

type Money = Pick<AskedBefore, "orderId" | "amountMinor" | "currency">;

function authorisationIn(payment: TossPayment, { orderId, amountMinor, currency }: Money): AuthoriseOutcome {
  const { status, paymentKey } = payment;
  // The window was opened by a browser: what it says is compared before anything is charged.
  if (payment.orderId !== orderId || payment.currency !== currency) return { kind: "declined", reason: "other_order" };
  if (toMinor(payment.totalAmount, currency) !== amountMinor) return { kind: "declined", reason: "other_amount" };
  switch (status) {
    case "IN_PROGRESS":
    case "DONE":
    case "PARTIAL_CANCELED":
      return { kind: "authorised", providerId: paymentKey };
    case "CANCELED":
    case "ABORTED":
    case "EXPIRED":
      return { kind: "declined", reason: status.toLowerCase() };
    default:
      return unknown(`The buyer is in the payment window: ${status}.`);
  }
}

/** Undefined while it is not confirmed. What was given back since was charged. */
function captureIn({ status }: TossPayment): Exclude<CaptureOutcome, Unknown> | undefined {
  if (status === "DONE" || status === "CANCELED" || status === "PARTIAL_CANCELED") return { kind: "captured" };
  return status === "ABORTED" || status === "EXPIRED" ? { kind: "refused", reason: status.toLowerCase() } : undefined;
}

function voidOf({ status }: TossPayment): CancelOutcome {
  if (status === "DONE" || status === "PARTIAL_CANCELED") return { kind: "captured" };
  if (status === "CANCELED" || status === "ABORTED" || status === "EXPIRED") return { kind: "cancelled" };
  return unknown(`It is ${status}, and can be confirmed until it runs out.`);
}

/** A refund is found by its words: Toss keeps the reason of each cancel, and no key of ours. */
function refundIn({ cancels }: TossPayment, { key, currency }: { key: string; currency: string }) {
  const cancel = cancels?.find(({ cancelReason }) => cancelReason === reasonOf(key));
  return cancel && { kind: "refunded" as const, amountMinor: toMinor(cancel.cancelAmount, currency) };
}

const reasonOf = (key: string): string => `Refund ${key}`;

/** Toss counts in the currency's unit: 49900 won, 19.99 dollars. */
const toMajor = ({ amountMinor, currency }: Pick<Money, "amountMinor" | "currency">): number =>
  Number(`${amountMinor}e-${decimalsOf(currency)}`);

const toMinor = (amount: number, currency: string): number => Math.round(Number(`${amount}e${decimalsOf(currency)}`));

/** Toss takes and tells moments in Korea's time, nine hours ahead all year, to the second and without saying so. */
const inKorea = (moment: Instant): string => later(moment, 9 * 3_600_000).slice(0, 19);

const paymentIn = ({ status, json }: ProviderReply): TossPayment | undefined =>
  status === 200 && paymentReply.Check(json) ? json : undefined;

const codeIn = ({ status, json }: ProviderReply): string | undefined =>
  status !== 200 && errorReply.Check(json) ? json.code : undefined;

const unknown = (why: string): Unknown => ({ kind: "unknown", why });

/** A wrong key, an error that tells nothing, a shape we do not know: nothing is certain. */
const senseless = (reply: ProviderReply): Unknown =>
  unknown(`Toss answered ${reply.status} ${codeIn(reply) ?? ""}, which does not tell what became of it.`);

async function orUnknown<Outcome>(asked: Promise<Outcome>): Promise<Outcome | Unknown> {
  try {
    return await asked;
  } catch (error) {
    // Never told as unsent: the buyer is in Toss's window, and no other provider can take the payment over.
    if (error instanceof NoAnswerError) return unknown(error.message);
    throw error;
  }
}
