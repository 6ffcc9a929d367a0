import { orderCancelled, orderRejected, orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import { paymentCaptureRefused, paymentDeclined } from "@onsale/contracts/payments";
import { pointsRefused } from "@onsale/contracts/wallet";
import type { Compensations } from "@onsale/saga";

const held = "What was held for the order, or sold to it, is not back on the shelf.";

/** What is not given back while one of these events can't be taken. */
export const compensations: Compensations = {
  [orderRejected.type]: held,
  [orderCancelled.type]: held,
  [orderReturned.type]: "What came back of the order is not put away.",
  // Where nobody leads an order.
  [orderWithdrawn.type]: held,
  [pointsRefused.type]: held,
  [paymentDeclined.type]: held,
  [paymentCaptureRefused.type]: held,
};
