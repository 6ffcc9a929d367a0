import { orderCancelled, orderRejected, orderReturned } from "@onsale/contracts/orders";
import type { Compensations } from "@onsale/saga";

/** What is not given back while one of these events can't be taken. */
export const compensations: Compensations = {
  [orderRejected.type]: "What was held for the order is not back on the shelf.",
  [orderCancelled.type]: "What was held for the order, or sold to it, is not back on the shelf.",
  [orderReturned.type]: "What came back of the order is not put away.",
};
