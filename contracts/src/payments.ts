/** The words of the payments service. One order has one card payment; its id is not its key, the order's is. */

import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";
import { OrderId, PaymentId, ReturnId } from "./ids.ts";
import { AmountMinor, Currency } from "./money.ts";

const orderId = "0192f0c1-0000-7000-8000-000000000001";
const paymentId = "0192f0c1-0000-7000-8000-000000000005";
const returnId = "0192f0c1-0000-7000-8000-000000000003";

/** The provider set the amount aside for us. */
export const paymentAuthorised = defineEvent("payment.authorised.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, paymentId: PaymentId, amountMinor: AmountMinor, currency: Currency }),
  sample: { orderId, paymentId, amountMinor: 1530, currency: "GBP" },
});

/** The provider refused, for certain: nothing is set aside and nothing charged. */
export const paymentDeclined = defineEvent("payment.declined.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, paymentId: PaymentId, reason: Type.String({ minLength: 1, maxLength: 64 }) }),
  sample: { orderId, paymentId, reason: "insufficient_funds" },
});

/** The authorised amount was charged. */
export const paymentCaptured = defineEvent("payment.captured.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, paymentId: PaymentId, amountMinor: AmountMinor, currency: Currency }),
  sample: { orderId, paymentId, amountMinor: 1530, currency: "GBP" },
});

/** The provider will not capture, for certain: the authorisation is gone. Nothing was charged. */
export const paymentCaptureRefused = defineEvent("payment.capture-refused.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, paymentId: PaymentId, reason: Type.String({ minLength: 1, maxLength: 64 }) }),
  sample: { orderId, paymentId, reason: "authorisation_expired" },
});

/** The payment is being given back, and what the provider did is not known yet. It does not hold the order open. */
export const paymentReversing = defineEvent("payment.reversing.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, paymentId: PaymentId }),
  sample: { orderId, paymentId },
});

/** Nothing of the order's money is with us, for certain: it was never taken, or was given back. */
export const paymentReversed = defineEvent("payment.reversed.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, paymentId: PaymentId, refundedMinor: AmountMinor, currency: Currency }),
  sample: { orderId, paymentId, refundedMinor: 1530, currency: "GBP" },
});

/** Part of a captured payment was given back for a return. */
export const paymentRefunded = defineEvent("payment.refunded.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    paymentId: PaymentId,
    returnId: ReturnId,
    amountMinor: AmountMinor,
    currency: Currency,
  }),
  sample: { orderId, paymentId, returnId, amountMinor: 510, currency: "GBP" },
});
