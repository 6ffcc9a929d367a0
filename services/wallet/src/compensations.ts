import { orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import type { Compensations } from "@onsale/saga";

/** What is not given back while one of these events can't be taken. */
export const compensations: Compensations = {
  [orderWithdrawn.type]: "The order's points are not given back.",
  [orderReturned.type]: "The points for what came back of the order are not given back.",
};
