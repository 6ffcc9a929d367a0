import { orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import type { Compensations } from "@onsale/saga";

/** What is not given back while one of these events can't be taken. */
export const compensations: Compensations = {
  [orderWithdrawn.type]: "What was set aside for the order, or taken, is not given back.",
  [orderReturned.type]: "What came back of the order is not refunded.",
};
