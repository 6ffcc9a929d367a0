/** What the provider tells about its books. Amounts are in the currency's minor unit; moments are RFC 3339 in UTC with milliseconds. */

export type MovementKind = "authorise" | "capture" | "cancel" | "refund";

/** One thing that was asked and answered for certain. */
export interface MovementRecord {
  /** Counted from 1 within the payment. */
  readonly number: number;
  readonly kind: MovementKind;
  /** The idempotency key that the merchant sent. */
  readonly key: string;
  readonly amountMinor: number;
  readonly at: string;
  /** Why it was refused; then nothing moved. Absent when it was done. */
  readonly refused?: string;
}

export type PaymentStatus = "authorised" | "declined" | "captured" | "cancelled";

export interface PaymentRecord {
  readonly id: string;
  /** The merchant's own name of what is paid: the order's id. */
  readonly reference: string;
  readonly status: PaymentStatus;
  readonly amountMinor: number;
  readonly currency: string;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly createdAt: string;
}

/** A movement that was done, in the order in which they were. */
export interface StatementLine extends MovementRecord, Pick<PaymentRecord, "id" | "reference" | "currency"> {}

/** One line of the ledger: a payment with every movement of it, refused ones too. */
export interface LedgerPayment extends PaymentRecord {
  readonly type: "payment";
  readonly movements: readonly MovementRecord[];
}

/** The last line of the ledger. A ledger that does not end with it was cut short. */
export interface LedgerEnd {
  readonly type: "end";
  readonly payments: number;
}

export type LedgerLine = LedgerPayment | LedgerEnd;
