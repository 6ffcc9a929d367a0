import { defineErrors } from "@onsale/http";

export const errors = defineErrors("orders", {
  TOO_MANY_LINES: { title: "The order has too many lines.", retryable: false },
  QUANTITY_TOO_LARGE: { title: "The order has too many pieces of one product.", retryable: false },
  UNKNOWN_PRODUCT: { title: "The order names a product that is not sold here.", retryable: false },
  CATALOG_UNHEARD: {
    title: "What the order names is not known here, and what the catalog told last has not arrived yet; ask again.",
    retryable: true,
  },
  WRONG_CURRENCY: { title: "A product of the order is not sold in its currency.", retryable: false },
  POINTS_DO_NOT_FIT: { title: "The points do not fit the way of paying.", retryable: false },
  PRICE_CHANGED: { title: "A product costs something else than the basket says.", retryable: false },
  NOTHING_TO_PAY: { title: "The order costs nothing.", retryable: false },
  SOLD_OUT: { title: "There is not enough left.", retryable: false },
  TOTAL_TOO_LARGE: { title: "The order costs more than one order may.", retryable: false },
  ORDER_NOT_FOUND: { title: "You have no such order.", retryable: false },
  ORDER_REJECTED: { title: "The order was rejected already.", retryable: false },
  ORDER_UNDECIDED: {
    title: "Whether the order is confirmed is not decided yet; until then it can be cancelled as a whole only.",
    retryable: true,
  },
  ORDER_NOT_RETURNABLE: {
    title: "Only what was paid for and is not being cancelled can be returned.",
    retryable: false,
  },
  RETURN_NOT_FOUND: { title: "There is no such return.", retryable: false },
  RETURN_NOT_AWAITED: { title: "The return was accepted without being looked at.", retryable: false },
  RETURN_LAPSED: { title: "The return has lapsed; the buyer may ask for another.", retryable: false },
  RETURN_CONTRADICTED: { title: "The return was looked at before, with another result.", retryable: false },
  RETURN_DOES_NOT_ADD_UP: {
    title: "What was found is more or less than what the buyer wanted to send back.",
    retryable: false,
  },
  RETURN_EXCEEDS_ORDER: { title: "More would be returned than the buyer still has.", retryable: false },
});
