/** The words of the orders service: facts of an order's life, told by the saga that owns it. */

import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";
import { BuyerId, HoldId, OrderId, ReturnId, Sku } from "./ids.ts";
import { AmountMinor, Currency, PriceMinor, Units } from "./money.ts";
import { Instant } from "./time.ts";

/** Lines of one order, at most: the largest real invoice seen had 1,114, a basket of a person has far fewer. */
export const maximumLines = 1_000;

/** How the order is paid: by card, with points of the buyer's wallet, or one part with each. */
export const PaymentMethod = Type.Union([Type.Literal("card"), Type.Literal("wallet"), Type.Literal("split")]);

/**
 * Who leads an order's steps. Orchestrated: orders tells each next step. Choreographed: nobody does; each service goes on by
 * what its neighbours tell, and orders follows.
 */
export const SagaStyle = Type.Union([Type.Literal("orchestrated"), Type.Literal("choreographed")]);

/**
 * What is to be paid for an order, and by whom. Facts about a choreographed order carry it along, for whoever goes on from
 * there: facts of two services come in no order, so nobody can join them. Facts about an orchestrated order have none.
 */
export const Dues = Type.Object({
  buyerId: BuyerId,
  method: PaymentMethod,
  cardMinor: AmountMinor,
  pointsMinor: AmountMinor,
  currency: Currency,
});

export const OrderLine = Type.Object({ sku: Sku, units: Units, unitPriceMinor: PriceMinor });
const ReturnedLine = Type.Object({ sku: Sku, units: Units });

/** What becomes of units that come back damaged, and are paid back all the same: kept apart, or gone for good. */
export const ReturnDamage = Type.Union([Type.Literal("QUARANTINED"), Type.Literal("WRITTEN_OFF")]);

/** Why units that a buyer sent back, or said to send, are not taken. */
export const ReturnRefusal = Type.Union([
  Type.Literal("NOT_IN_PARCEL"),
  Type.Literal("NOT_OURS"),
  Type.Literal("USED"),
  Type.Literal("DAMAGED_BY_BUYER"),
  Type.Literal("INCOMPLETE"),
]);

/** Why a return ends without anybody having looked at it. */
export const ReturnLapse = Type.Union([Type.Literal("TIMED_OUT"), Type.Literal("ORDER_CANCELLED")]);

const orderId = "0192f0c1-0000-7000-8000-000000000001";
const buyerId = "0192f0c1-0000-7000-8000-000000000002";
const returnId = "0192f0c1-0000-7000-8000-000000000003";

/** An order was accepted. Nothing is held and nothing is charged yet. */
export const orderPlaced = defineEvent("order.placed.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    buyerId: BuyerId,
    currency: Currency,
    totalMinor: AmountMinor,
    lines: Type.Array(OrderLine, { minItems: 1, maxItems: maximumLines }),
    /** `pointsMinor` is the part of the total that is paid with points; the card pays the rest. */
    payment: Type.Object({ method: PaymentMethod, pointsMinor: AmountMinor }),
    /** Absent: the order is orchestrated. */
    style: Type.Optional(Type.Literal("choreographed")),
    /** Holds that the order brings with it, to be attached instead of new ones. */
    holdIds: Type.Array(HoldId, { maxItems: maximumLines }),
    /** The arrival ticket: a later order has a higher one. Who is first is decided by it alone. */
    arrival: Type.Integer({ minimum: 1 }),
    placedAt: Instant,
  }),
  sample: {
    orderId,
    buyerId,
    currency: "GBP",
    totalMinor: 1530,
    lines: [{ sku: "85123A", units: 6, unitPriceMinor: 255 }],
    payment: { method: "card", pointsMinor: 0 },
    holdIds: [],
    arrival: 1,
    placedAt: "2026-11-21T09:00:00.000Z",
  },
});

/** Stock is held for the whole order: this part of its price is to be paid with the buyer's points. */
export const orderPointsPayable = defineEvent("order.points-payable.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, buyerId: BuyerId, amountMinor: AmountMinor, currency: Currency }),
  sample: { orderId, buyerId, amountMinor: 500, currency: "GBP" },
});

/** Stock is held for the whole order: this part of its price may be taken from the buyer's card. */
export const orderPayable = defineEvent("order.payable.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    buyerId: BuyerId,
    amountMinor: AmountMinor,
    currency: Currency,
    method: PaymentMethod,
  }),
  sample: { orderId, buyerId, amountMinor: 1530, currency: "GBP", method: "card" },
});

/** The buyer's payment is authorised: the held stock may be made final. */
export const orderAuthorised = defineEvent("order.authorised.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId }),
  sample: { orderId },
});

/** The stock is finally the order's: the authorised money may be captured. */
export const orderSecured = defineEvent("order.secured.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId }),
  sample: { orderId },
});

/** Paid for and secured: the good end. */
export const orderConfirmed = defineEvent("order.confirmed.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    buyerId: BuyerId,
    totalMinor: AmountMinor,
    /** The part of the total that was paid with points. */
    pointsMinor: AmountMinor,
    currency: Currency,
    lineCount: Type.Integer({ minimum: 1 }),
  }),
  sample: { orderId, buyerId, totalMinor: 1530, pointsMinor: 0, currency: "GBP", lineCount: 1 },
});

/** Why an order does not end CONFIRMED. */
export const OrderEndReason = Type.Union([
  Type.Literal("SOLD_OUT"),
  Type.Literal("UNKNOWN_SKU"),
  Type.Literal("LIMIT_PER_BUYER"),
  Type.Literal("HOLD_EXPIRED"),
  Type.Literal("HOLD_MISMATCH"),
  Type.Literal("PAYMENT_DECLINED"),
  Type.Literal("PAYMENT_FAILED"),
  Type.Literal("INSUFFICIENT_POINTS"),
  Type.Literal("CANCELLED_BY_BUYER"),
  Type.Literal("TIMED_OUT"),
]);

/** The order will not be fulfilled: what was taken for it, money first, is to be given back. The order is not at its end yet. */
export const orderWithdrawn = defineEvent("order.withdrawn.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, reason: OrderEndReason, dues: Type.Optional(Dues) }),
  sample: { orderId, reason: "PAYMENT_DECLINED" },
});

/** Ended by a refusal: sold out, limit, declined. */
export const orderRejected = defineEvent("order.rejected.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, buyerId: BuyerId, reason: OrderEndReason }),
  sample: { orderId, buyerId, reason: "SOLD_OUT" },
});

/** Ended by the buyer's wish or by the clock. */
export const orderCancelled = defineEvent("order.cancelled.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, buyerId: BuyerId, reason: OrderEndReason }),
  sample: { orderId, buyerId, reason: "CANCELLED_BY_BUYER" },
});

/** A buyer wants to send units of a confirmed order back. They are looked at first; nothing is given back yet. */
export const orderReturnRequested = defineEvent("order.return-requested.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    buyerId: BuyerId,
    returnId: ReturnId,
    lines: Type.Array(ReturnedLine, { minItems: 1, maxItems: maximumLines }),
    /** Until when they have to have been looked at. */
    lapsesAt: Instant,
  }),
  sample: {
    orderId,
    buyerId,
    returnId,
    lines: [{ sku: "85123A", units: 3 }],
    lapsesAt: "2026-12-21T09:00:00.000Z",
  },
});

/** Units of a confirmed order come back: they are to be put away, and their price refunded. */
export const orderReturned = defineEvent("order.returned.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    returnId: ReturnId,
    /** Units without damage go back on the shelf. Of one SKU there may be such and such. */
    lines: Type.Array(Type.Object({ sku: Sku, units: Units, damage: Type.Optional(ReturnDamage) }), {
      minItems: 1,
      maxItems: 3 * maximumLines,
    }),
    /** Given back to the card. */
    refundMinor: AmountMinor,
    /** Given back as points. */
    pointsMinor: AmountMinor,
    currency: Currency,
  }),
  sample: {
    orderId,
    returnId,
    lines: [{ sku: "85123A", units: 2 }],
    refundMinor: 510,
    pointsMinor: 0,
    currency: "GBP",
  },
});

/** Units that a buyer sent back were looked at and are not taken: nothing is given back for them. */
export const orderReturnRefused = defineEvent("order.return-refused.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    buyerId: BuyerId,
    returnId: ReturnId,
    lines: Type.Array(Type.Object({ sku: Sku, units: Units, reason: ReturnRefusal }), {
      minItems: 1,
      maxItems: 5 * maximumLines,
    }),
  }),
  sample: { orderId, buyerId, returnId, lines: [{ sku: "85123A", units: 1, reason: "USED" }] },
});

/** Nobody looked at what a buyer wanted to send back. The buyer still has it, and may ask again where there is an order. */
export const orderReturnLapsed = defineEvent("order.return-lapsed.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, buyerId: BuyerId, returnId: ReturnId, reason: ReturnLapse }),
  sample: { orderId, buyerId, returnId, reason: "TIMED_OUT" },
});
