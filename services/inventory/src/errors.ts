import { defineErrors } from "@onsale/http";

export const errors = defineErrors("inventory", {
  STOCK_NOT_FOUND: { title: "Nothing of this SKU ever came in.", retryable: false },
  RECEIPT_NUMBER_REUSED: { title: "This receipt number came before with another number of units.", retryable: false },
});
