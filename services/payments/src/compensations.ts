import { stockLapsed } from "@onsale/contracts/inventory";
import { orderCancelled, orderRejected, orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import type { Compensations } from "@onsale/saga";

const taken = "What was set aside for the order, or taken, is not given back.";

/** What is not given back while one of these events can't be taken. */
export const compensations: Compensations = {
  [orderWithdrawn.type]: taken,
  [orderReturned.type]: "What came back of the order is not refunded.",
  // Where nobody leads an order.
  [stockLapsed.type]: taken,
  [orderRejected.type]: taken,
  [orderCancelled.type]: taken,
};
