/** The words of the catalog. */

import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";
import { Sku } from "./ids.ts";
import { Currency, PriceMinor } from "./money.ts";

/** A product is for sale at this price from now on. The latest one is the truth about the product. */
export const productPublished = defineEvent("product.published.v1", {
  key: "sku",
  lanes: { online: true, bulk: true },
  laneChange: "latest-wins",
  schema: Type.Object({
    sku: Sku,
    name: Type.String({ minLength: 1, maxLength: 200 }),
    priceMinor: PriceMinor,
    currency: Currency,
  }),
  sample: { sku: "85123A", name: "WHITE HANGING HEART T-LIGHT HOLDER", priceMinor: 255, currency: "GBP" },
});
