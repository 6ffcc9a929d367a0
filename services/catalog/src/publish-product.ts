import { productPublished } from "@onsale/contracts/catalog";
import { type Cause, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { decidePublication, type Product, type Publication } from "./product.ts";
import { insertProduct, lockProduct, updateProduct } from "./store/product.ts";
import { telemetry } from "./telemetry.ts";

/** Makes or changes a product, and tells it when anything changed. */
export async function publishProduct(tx: Transaction, product: Product, cause: Cause): Promise<Publication["kind"]> {
  // Inserted first: of two who publish a new SKU at once the second waits here and then finds the first's row.
  const isNew = await insertProduct(tx, product);
  const publication = decidePublication(isNew ? undefined : await lockProduct(tx, product.sku), product);
  if (publication.kind === "changed") await updateProduct(tx, product, publication.version);
  if (publication.kind !== "unchanged") {
    await publish(tx, [fact(productPublished, { data: product, sequence: publication.version, cause })]);
  }
  tx.afterCommit(() => telemetry.productPublished({ kind: publication.kind }));
  return publication.kind;
}
