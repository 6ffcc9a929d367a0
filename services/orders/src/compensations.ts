import { stockReleased, stockRestocked } from "@onsale/contracts/inventory";
import { paymentRefunded, paymentReversed } from "@onsale/contracts/payments";
import { pointsRefunded, pointsReleased } from "@onsale/contracts/wallet";
import type { Compensations } from "@onsale/saga";

/** What an order does not hear while one of these events can't be taken: it waits, and no deadline of it fires. */
export const compensations: Compensations = {
  [paymentReversed.type]: "The order's payment is given back, and the order does not know it.",
  [pointsReleased.type]: "The order's points are given back, and the order does not know it.",
  [stockReleased.type]: "The order's goods are back on the shelf, and the order does not know it.",
  [paymentRefunded.type]: "A return is refunded, and the order does not know it.",
  [pointsRefunded.type]: "The points of a return are given back, and the order does not know it.",
  [stockRestocked.type]: "A return is put away, and the order does not know it.",
};
