import {
  cancelRefused,
  captureRefused,
  doneReply,
  outcomeOf,
  queryReply,
  refusedReply,
  statementReply,
} from "./card-provider-shapes.ts";
import type {
  AuthoriseOutcome,
  AuthoriseRequest,
  CancelOutcome,
  CaptureOutcome,
  CardProvider,
  FollowUpRequest,
  QueryOutcome,
  RefundOutcome,
  StatementOutcome,
  Unknown,
} from "./provider.ts";
import { NoAnswerError, type ProviderCall, ProviderLine, type ProviderReply } from "./provider-line.ts";
import { telemetry } from "./telemetry.ts";

export interface CardProviderOptions {
  /** Told with the state of its circuit. Default `card`. */
  readonly name?: string;
  readonly url: string;
  readonly apiSecret: string;
  /** Where the provider shall send its webhooks; absent: it sends none. */
  readonly webhookUrl?: string;
  /** Calls in flight at once. Default 256, which is what the consumer makes. */
  readonly connections?: number;
  /** Default 1,000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds for which the provider knows a key again. Default 23 hours: it promises a day. */
  readonly keyMemoryMs?: number;
  /** Milliseconds for one of the at most two attempts of a call. Default 4,500, so that a call ends within 10 s. */
  readonly attemptTimeoutMs?: number;
}

const hourMs = 3_600_000;

/** Our provider, by its HTTP interface. */
export function createCardProvider(options: CardProviderOptions): CardProvider {
  const { name = "card", url, apiSecret, webhookUrl, keyMemoryMs = 23 * hourMs } = options;
  const { connections = 256, connectTimeoutMs = 1_000, attemptTimeoutMs = 4_500 } = options;
  const onCircuit = (state: "open" | "closed") => telemetry.providerCircuit({ provider: name, state });
  const authorization = `Bearer ${apiSecret}`;
  const line = new ProviderLine({ url, authorization, connections, connectTimeoutMs, attemptTimeoutMs, onCircuit });

  return {
    keyMemoryMs,
    authorise: (request, signal) => ask(line, authoriseCall(request, webhookUrl), readAuthorise, signal),
    capture: (request, signal) => ask(line, followCall("capture", request), readCapture, signal),
    cancel: (request, signal) => ask(line, followCall("cancel", request), readCancel, signal),
    refund(request, signal) {
      const call = { ...followCall("refunds", request), body: { amountMinor: request.amountMinor } };
      return ask(line, call, readRefund, signal);
    },
    query: ({ key }, signal) => ask(line, queryCall(key), (reply) => readQuery(reply, key), signal),
    statement({ since, cursor }, signal) {
      const wish = { limit: "1000", ...(since && { since }), ...(cursor && { after: cursor }) };
      const path = `/v1/statement?${new URLSearchParams(wish)}`;
      return ask(line, { method: "GET", path }, readStatement, signal);
    },
    async probe(signal) {
      return (await ask(line, queryCall("probe"), (reply) => readQuery(reply, "probe"), signal)).kind === "not-found";
    },
    close: () => line.close(),
  };
}

function authoriseCall(request: AuthoriseRequest, webhookUrl: string | undefined): ProviderCall {
  const { key, orderId: reference, buyerId, amountMinor, currency } = request;
  // The card lies in the provider's vault under the buyer's id: no number of it ever comes near us.
  const body = { amountMinor, currency, reference, card: `buyer:${buyerId}`, ...(webhookUrl && { webhookUrl }) };
  return { method: "POST", path: "/v1/payments", key, body };
}

const followCall = (verb: "capture" | "cancel" | "refunds", { key, providerId }: FollowUpRequest): ProviderCall => ({
  method: "POST",
  path: `/v1/payments/${encodeURIComponent(providerId)}/${verb}`,
  key,
});

const queryCall = (key: string): ProviderCall => ({
  method: "GET",
  path: `/v1/payments?key=${encodeURIComponent(key)}`,
});

async function ask<Outcome>(
  line: ProviderLine,
  call: ProviderCall,
  read: (reply: ProviderReply) => Outcome | Unknown,
  signal: AbortSignal,
): Promise<Outcome | Unknown> {
  try {
    return read(await line.send(call, signal));
  } catch (error) {
    if (error instanceof NoAnswerError) return { kind: "unknown", why: error.message, isUnsent: error.isUnsent };
    throw error;
  }
}

function readAuthorise({ status, json }: ProviderReply): AuthoriseOutcome {
  if (status === 200 && doneReply.Check(json)) return { kind: "authorised", providerId: json.id };
  if (status === 402 && refusedReply.Check(json)) return { kind: "declined", reason: json.error.code };
  return senseless(status);
}

function readCapture({ status, json }: ProviderReply): CaptureOutcome {
  if (status === 200) return { kind: "captured" };
  const reason = refusalIn({ status, json });
  return reason === undefined ? senseless(status) : captureRefused(reason);
}

function readCancel({ status, json }: ProviderReply): CancelOutcome {
  if (status === 200) return { kind: "cancelled" };
  const reason = refusalIn({ status, json });
  return reason === undefined ? senseless(status) : cancelRefused(reason);
}

function readRefund({ status, json }: ProviderReply): RefundOutcome {
  if (status === 200) return { kind: "refunded" };
  const reason = refusalIn({ status, json });
  return reason === undefined ? senseless(status) : { kind: "refused", reason };
}

/** Why the provider will not do it: 409 for what the payment's state forbids, 404 for a payment that it does not have. */
function refusalIn({ status, json }: ProviderReply): string | undefined {
  return (status === 409 || status === 404) && refusedReply.Check(json) ? json.error.code : undefined;
}

function readQuery({ status, json }: ProviderReply, key: string): QueryOutcome {
  if (status !== 200 || !queryReply.Check(json)) return senseless(status);
  for (const payment of json.payments) {
    const movement = payment.movements.find((it) => it.key === key);
    if (movement !== undefined) return outcomeOf(payment.id, movement);
  }
  return { kind: "not-found" };
}

function readStatement({ status, json }: ProviderReply): StatementOutcome {
  if (status !== 200 || !statementReply.Check(json)) return senseless(status);
  const lines = json.lines.map(({ kind, id, ...rest }) => ({
    ...rest,
    kind: kind === "cancel" ? ("void" as const) : kind,
    providerId: id,
  }));
  return { kind: "page", lines, next: json.next };
}

/** A wrong secret, a key of ours reused, a shape we do not know: it must be looked into, and nothing is certain until then. */
const senseless = (status: number): Unknown => ({
  kind: "unknown",
  why: `The provider's answer with status ${status} makes no sense to us.`,
});
