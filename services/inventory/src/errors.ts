import { defineErrors } from "@onsale/http";

export const errors = defineErrors("inventory", {
  STOCK_NOT_FOUND: { title: "Nothing of this SKU ever came in.", retryable: false },
  LOCATION_NOT_FOUND: { title: "There is no such location.", retryable: false },
  RECEIPT_NUMBER_REUSED: { title: "This receipt number came before with other contents.", retryable: false },
  RECEIPT_NOT_FOUND: { title: "There is no such receipt.", retryable: false },
  RECEIPT_NOT_AWAITED: { title: "This receipt went onto the shelf without an inspection.", retryable: false },
  INSPECTION_CONTRADICTED: { title: "This receipt was inspected before, with another result.", retryable: false },
  INSPECTION_EXCEEDS_RECEIPT: { title: "More was found than came in.", retryable: false },
  ADJUSTMENT_WRONG_WAY: { title: "This reason does not go this way.", retryable: false },
  ADJUSTMENT_EXCEEDS_STOCK: { title: "Fewer are there than would be taken off.", retryable: false },
  TRANSFER_NOT_FOUND: { title: "There is no such transfer.", retryable: false },
  TRANSFER_SAME_LOCATION: { title: "Goods are sent from one location to another.", retryable: false },
  TRANSFER_EXCEEDS_STOCK: { title: "Fewer are there than would be sent.", retryable: false },
  ARRIVAL_EXCEEDS_TRANSFER: { title: "More arrived than was sent.", retryable: false },
  ARRIVAL_CONTRADICTED: { title: "This transfer arrived before, with another number of units.", retryable: false },
  LIMIT_LOWERED: { title: "The limit per buyer can't be lowered once its sale has begun.", retryable: false },
});
