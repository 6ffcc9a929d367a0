import { defineErrors } from "@onsale/http";

export const errors = defineErrors("catalog", {
  PRODUCT_NOT_FOUND: { title: "There is no product with this SKU.", retryable: false },
  INVALID_CURSOR: { title: "The cursor is not one that this server gave out.", retryable: false },
});
