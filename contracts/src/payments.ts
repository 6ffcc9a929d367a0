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

const line = Type.Literal("card", { description: "What is paid with: each line has its own providers." });
const providerName = Type.String({ minLength: 1, maxLength: 32, pattern: "^[a-z0-9-]+$" });

/** New payments go to another provider from now on. What was asked of the one before is asked of that one to its end. */
export const providerLineSwitched = defineEvent("provider-line.switched.v1", {
  key: "line",
  lanes: { online: true },
  schema: Type.Object({
    line,
    from: providerName,
    to: providerName,
    why: Type.Enum(["FAILURES", "PENDING", "DOWN", "OPERATOR", "CONFIGURATION"]),
  }),
  sample: { line: "card", from: "card-a", to: "card-b", why: "FAILURES" },
});

/** A provider that was down answers again. New payments do not go back to it by themselves. */
export const providerLineRecovered = defineEvent("provider-line.recovered.v1", {
  key: "line",
  lanes: { online: true },
  schema: Type.Object({ line, provider: providerName }),
  sample: { line: "card", provider: "card-a" },
});
