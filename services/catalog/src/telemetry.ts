import { defineFact } from "@onsale/runtime";

export const telemetry = {
  productPublished: defineFact("product published", { counter: "onsale_products_published_total", labels: ["kind"] }),
};
