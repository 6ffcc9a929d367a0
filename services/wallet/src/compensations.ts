import { stockLapsed } from "@onsale/contracts/inventory";
import { orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import { paymentCaptureRefused, paymentDeclined } from "@onsale/contracts/payments";
import type { Compensations } from "@onsale/saga";

const held = "The order's points are not given back.";

/** What is not given back while one of these events can't be taken. */
export const compensations: Compensations = {
  [orderWithdrawn.type]: held,
  [orderReturned.type]: "The points for what came back of the order are not given back.",
  // Where nobody leads an order.
  [stockLapsed.type]: held,
  [paymentDeclined.type]: held,
  [paymentCaptureRefused.type]: held,
};
