/** The port to a card provider. Ours is `card-provider.ts`; a team may compose the service with another. */

import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import type { AmountMinor, Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";

/**
 * Nobody can tell yet whether it was done. Timeouts, cut connections, answers that make no sense and an open circuit all
 * end here: an adapter throws for none of them.
 */
export interface Unknown {
  readonly kind: "unknown";
  readonly why: string;
  /** Nothing of this call left for the provider, for certain. What was called before under the same key may have. */
  readonly isUnsent?: boolean;
}

/** It was not done, for certain, and a repetition under the same key will not do it either. */
export interface Refused {
  readonly kind: "refused";
  readonly reason: string;
}

export interface AuthoriseRequest {
  readonly key: string;
  readonly orderId: OrderId;
  /** Whose card it is: the provider keeps the cards, we never see one. */
  readonly buyerId: BuyerId;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
}

export interface FollowUpRequest {
  readonly key: string;
  /** The provider's name for the payment. */
  readonly providerId: string;
  readonly orderId: OrderId;
  /** Of a capture and a cancel the whole, of a refund what is given back. */
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
}

/** A call that was made before, and whose outcome is to be found out. */
export interface AskedBefore {
  readonly kind: "authorise" | "capture" | "void" | "refund";
  readonly key: string;
  readonly orderId: OrderId;
  /** The provider's name for the payment; null while it is not known. */
  readonly providerId: string | null;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
}

export type AuthoriseOutcome =
  | { readonly kind: "authorised"; readonly providerId: string }
  | { readonly kind: "declined"; readonly reason: string }
  | Unknown;
export type CaptureOutcome = { readonly kind: "captured" } | Refused | Unknown;
/** `captured`: it came too late, the money was charged. `cancelled`: nothing is set aside any more, for whatever reason. */
export type CancelOutcome = { readonly kind: "cancelled" } | { readonly kind: "captured" } | Refused | Unknown;
export type RefundOutcome = { readonly kind: "refunded"; readonly amountMinor?: AmountMinor } | Refused | Unknown;
/** `not-found` is not "never": a call that is still on its way to the provider may be done after it. */
export type QueryOutcome =
  | Exclude<AuthoriseOutcome | CaptureOutcome | CancelOutcome | RefundOutcome, Unknown>
  | { readonly kind: "not-found" }
  | Unknown;

/** Something that a provider did, for certain, as its books have it. What it refused is not in them. */
export interface StatementLine {
  readonly kind: AskedBefore["kind"];
  /** Under which we asked for it; null where the provider does not keep that. */
  readonly key: string | null;
  /** The provider's name for the payment. */
  readonly providerId: string;
  /** What the provider was told as our order. */
  readonly reference: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
}

export interface StatementPeriod {
  /** What was done from this moment on, by the provider's clock; null: everything. */
  readonly since: Instant | null;
  /** Where a page said to read on; null at the beginning. */
  readonly cursor: string | null;
}

export type StatementOutcome =
  /** `next`: where to read on; null at the end. */
  { readonly kind: "page"; readonly lines: readonly StatementLine[]; readonly next: string | null } | Unknown;

/**
 * Every call carries an idempotency key, and repeating it under the same key does nothing twice, for `keyMemoryMs`
 * milliseconds. Captures and cancels take the whole amount.
 */
export interface CardProvider {
  readonly keyMemoryMs: number;
  authorise(request: AuthoriseRequest, signal: AbortSignal): Promise<AuthoriseOutcome>;
  capture(request: FollowUpRequest, signal: AbortSignal): Promise<CaptureOutcome>;
  cancel(request: FollowUpRequest, signal: AbortSignal): Promise<CancelOutcome>;
  refund(request: FollowUpRequest, signal: AbortSignal): Promise<RefundOutcome>;
  /** What became of a call. */
  query(asked: AskedBefore, signal: AbortSignal): Promise<QueryOutcome>;
  /** The provider's books of a period, from its beginning or from where a page said. A page has at most 1,000 lines. */
  statement(period: StatementPeriod, signal: AbortSignal): Promise<StatementOutcome>;
  /** Whether it answers at all: asks something that moves no money. Never throws. */
  probe(signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}
