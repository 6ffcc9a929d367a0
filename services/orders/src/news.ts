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

/** What an event of inventory, payments or the wallet means for the order that it is about. */
export function newsOf(event: HeardEvent): News {
  switch (event.type) {
    case "stock.reserved.v1":
      return { what: "stock-reserved", signal: { kind: "succeeded", step: "reserve-stock" } };
    case "stock.rejected.v1":
      return { what: "stock-rejected", signal: { kind: "refused", step: "reserve-stock" }, reason: event.data.reason };
    case "stock.confirmed.v1":
      return { what: "stock-confirmed", signal: { kind: "succeeded", step: "confirm-stock" } };
    case "stock.lapsed.v1":
      return { what: "stock-lapsed", signal: { kind: "refused", step: "confirm-stock" }, reason: "HOLD_EXPIRED" };
    case "stock.released.v1":
      return { what: "stock-released", signal: { kind: "undone", step: "reserve-stock" } };
    case "stock.restocked.v1":
      return { what: "return-restocked", noted: true };
    case "payment.authorised.v1":
      return { what: "payment-authorised", signal: { kind: "succeeded", step: "authorise-payment" } };
    case "payment.declined.v1":
      return {
        what: "payment-declined",
        signal: { kind: "refused", step: "authorise-payment" },
        reason: "PAYMENT_DECLINED",
      };
    case "payment.captured.v1":
      return {
        what: "payment-captured",
        signal: { kind: "succeeded", step: "capture-payment" },
        money: { kind: "paid", of: "card", amountMinor: event.data.amountMinor },
      };
    case "payment.capture-refused.v1":
      return {
        what: "payment-capture-refused",
        signal: { kind: "refused", step: "capture-payment" },
        reason: "PAYMENT_FAILED",
      };
    case "payment.reversing.v1":
      return { what: "payment-reversing", signal: { kind: "undo-unknown", step: "authorise-payment" } };
    case "payment.reversed.v1":
      return {
        what: "payment-reversed",
        signal: { kind: "undone", step: "authorise-payment" },
        money: { kind: "all-refunded", of: "card", amountMinor: event.data.refundedMinor },
      };
    case "payment.refunded.v1":
      return {
        what: "return-refunded",
        money: { kind: "refunded", of: "card", amountMinor: event.data.amountMinor },
        noted: true,
      };
    case "points.held.v1":
      return { what: "points-held", signal: { kind: "succeeded", step: "hold-points" } };
    case "points.refused.v1":
      return { what: "points-refused", signal: { kind: "refused", step: "hold-points" }, reason: event.data.reason };
    case "points.released.v1":
      return {
        what: "points-released",
        signal: { kind: "undone", step: "hold-points" },
        money: { kind: "all-refunded", of: "points", amountMinor: event.data.returnedMinor },
      };
    case "points.refunded.v1":
      return {
        what: "return-points-refunded",
        money: { kind: "refunded", of: "points", amountMinor: event.data.amountMinor },
        noted: true,
      };
  }
}

/** The buyer wants all of it undone. */
export const cancelWished: News = {
  what: "cancel-requested",
  signal: { kind: "withdraw" },
  reason: "CANCELLED_BY_BUYER",
};

/** A bound has passed without an answer. */
export const overdue = (wait: OrderWait): News => ({
  what: `overdue: ${wait}`,
  signal: { kind: "overdue", wait },
  reason: "TIMED_OUT",
});
