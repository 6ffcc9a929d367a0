/** What is heard about an order, in the words of its saga. */

import type {
  stockConfirmed,
  stockLapsed,
  stockRejected,
  stockReleased,
  stockReserved,
  stockRestocked,
} from "@onsale/contracts/inventory";
import type { AmountMinor } from "@onsale/contracts/money";
import type { OrderEndReason } from "@onsale/contracts/orders";
import type {
  paymentAuthorised,
  paymentCaptured,
  paymentCaptureRefused,
  paymentDeclined,
  paymentRefunded,
  paymentReversed,
  paymentReversing,
} from "@onsale/contracts/payments";
import type { pointsHeld, pointsRefunded, pointsRefused, pointsReleased } from "@onsale/contracts/wallet";
import type { Delivered } from "@onsale/messaging";
import type { Static } from "typebox";
import type { OrderSignal, OrderWait } from "./order-saga.ts";

export type EndReason = Static<typeof OrderEndReason>;

/** Taken from the buyer, given back for a return, or all given back. */
export interface MoneyMoved {
  readonly kind: "paid" | "refunded" | "all-refunded";
  readonly of: "card" | "points";
  readonly amountMinor: AmountMinor;
}

export interface News {
  /** How the order's history calls it. */
  readonly what: string;
  /** Absent: it changes nothing about where the order stands. */
  readonly signal?: OrderSignal;
  /** Why the order ends, if this is what turns it back. */
  readonly reason?: EndReason;
  readonly money?: MoneyMoved;
  /** To be written down even where it changes nothing. */
  readonly noted?: boolean;
}

export type HeardEvent = Delivered<
  | typeof stockReserved
  | typeof stockRejected
  | typeof stockConfirmed
  | typeof stockLapsed
  | typeof stockReleased
  | typeof stockRestocked
  | typeof paymentAuthorised
  | typeof paymentDeclined
  | typeof paymentCaptured
  | typeof paymentCaptureRefused
  | typeof paymentReversing
  | typeof paymentReversed
  | typeof paymentRefunded
  | typeof pointsHeld
  | typeof pointsRefused
  | typeof pointsReleased
  | typeof pointsRefunded
>;

interface Kind extends Pick<News, "signal" | "noted"> {
  readonly money?: Omit<MoneyMoved, "amountMinor">;
}

/** What each piece of news means, by the name under which the history keeps it: whoever reads it there understands the same. */
const kinds = {
  "stock-reserved": { signal: { kind: "succeeded", step: "reserve-stock" } },
  "stock-rejected": { signal: { kind: "refused", step: "reserve-stock" } },
  "stock-confirmed": { signal: { kind: "succeeded", step: "confirm-stock" } },
  "stock-lapsed": { signal: { kind: "refused", step: "confirm-stock" } },
  "stock-released": { signal: { kind: "undone", step: "reserve-stock" } },
  "return-restocked": { noted: true },
  "payment-authorised": { signal: { kind: "succeeded", step: "authorise-payment" } },
  "payment-declined": { signal: { kind: "refused", step: "authorise-payment" } },
  "payment-captured": {
    signal: { kind: "succeeded", step: "capture-payment" },
    money: { kind: "paid", of: "card" },
  },
  "payment-capture-refused": { signal: { kind: "refused", step: "capture-payment" } },
  "payment-reversing": { signal: { kind: "undo-unknown", step: "authorise-payment" } },
  "payment-reversed": {
    signal: { kind: "undone", step: "authorise-payment" },
    money: { kind: "all-refunded", of: "card" },
  },
  "return-refunded": { money: { kind: "refunded", of: "card" }, noted: true },
  "points-held": { signal: { kind: "succeeded", step: "hold-points" } },
  "points-refused": { signal: { kind: "refused", step: "hold-points" } },
  "points-released": {
    signal: { kind: "undone", step: "hold-points" },
    money: { kind: "all-refunded", of: "points" },
  },
  "return-points-refunded": { money: { kind: "refunded", of: "points" }, noted: true },
} as const satisfies Record<string, Kind>;

type KindName = keyof typeof kinds;

const newsOfKind = (what: KindName, given: { reason?: EndReason; amountMinor?: AmountMinor } = {}): News => {
  const { money, ...kind }: Kind = kinds[what];
  return {
    what,
    ...kind,
    ...(given.reason !== undefined && { reason: given.reason }),
    ...(money && { money: { ...money, amountMinor: given.amountMinor ?? 0 } }),
  };
};

/** What an event of inventory, payments or the wallet means for the order that it is about. */
export function newsOf(event: HeardEvent): News {
  switch (event.type) {
    case "stock.reserved.v1":
      return newsOfKind("stock-reserved");
    case "stock.rejected.v1":
      return newsOfKind("stock-rejected", { reason: event.data.reason });
    case "stock.confirmed.v1":
      return newsOfKind("stock-confirmed");
    case "stock.lapsed.v1":
      return newsOfKind("stock-lapsed", { reason: "HOLD_EXPIRED" });
    case "stock.released.v1":
      return newsOfKind("stock-released");
    case "stock.restocked.v1":
      return newsOfKind("return-restocked");
    case "payment.authorised.v1":
      return newsOfKind("payment-authorised");
    case "payment.declined.v1":
      return newsOfKind("payment-declined", { reason: "PAYMENT_DECLINED" });
    case "payment.captured.v1":
      return newsOfKind("payment-captured", { amountMinor: event.data.amountMinor });
    case "payment.capture-refused.v1":
      return newsOfKind("payment-capture-refused", { reason: "PAYMENT_FAILED" });
    case "payment.reversing.v1":
      return newsOfKind("payment-reversing");
    case "payment.reversed.v1":
      return newsOfKind("payment-reversed", { amountMinor: event.data.refundedMinor });
    case "payment.refunded.v1":
      return newsOfKind("return-refunded", { amountMinor: event.data.amountMinor });
    case "points.held.v1":
      return newsOfKind("points-held");
    case "points.refused.v1":
      return newsOfKind("points-refused", { reason: event.data.reason });
    case "points.released.v1":
      return newsOfKind("points-released", { amountMinor: event.data.returnedMinor });
    case "points.refunded.v1":
      return newsOfKind("return-points-refunded", { amountMinor: event.data.amountMinor });
  }
}

/** The buyer wants all of it undone. */
export const cancelWished: News = {
  what: "cancel-requested",
  signal: { kind: "withdraw" },
  reason: "CANCELLED_BY_BUYER",
};

const overdueMark = "overdue: ";

/** A bound has passed without an answer. */
export const overdue = (wait: OrderWait): News => ({
  what: `${overdueMark}${wait}`,
  signal: { kind: "overdue", wait },
  reason: "TIMED_OUT",
});

/** The same news again, from the line of history that it left; undefined for a line that left the order where it was. */
export function newsKept({
  what,
  reason,
  amountMinor,
}: {
  readonly what: string;
  readonly reason: EndReason | null;
  readonly amountMinor: AmountMinor | null;
}): News | undefined {
  if (what === cancelWished.what) return cancelWished;
  if (what.startsWith(overdueMark)) return overdue(what.slice(overdueMark.length) as OrderWait);
  if (!(what in kinds)) return undefined;
  return newsOfKind(what as KindName, { ...(reason && { reason }), ...(amountMinor !== null && { amountMinor }) });
}
