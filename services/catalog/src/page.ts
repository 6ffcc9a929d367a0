import type { Sku } from "@onsale/contracts/ids";

// A cursor is opaque: clients hand it back and nothing else, so what is in it may change with the version in front.
const version = "1";

/** Where a page ended, for the client to hand back. */
export const cursorAfter = (sku: Sku): string => Buffer.from(`${version}${sku}`).toString("base64url");

/** The SKU that a cursor stands for; undefined when it is none of ours. */
export function skuOfCursor(cursor: string): Sku | undefined {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  const genuine = text.length > 1 && text.startsWith(version) && cursorAfter(text.slice(1)) === cursor;
  return genuine && !text.includes("\u0000") ? text.slice(1) : undefined;
}

/** Cuts what was read with one row more than wanted to a page, and tells where the next one begins. */
export function pageOf<Row extends { readonly sku: Sku }>(
  rows: readonly Row[],
  limit: number,
): { page: Row[]; next: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { page, next: last !== undefined && rows.length > limit ? cursorAfter(last.sku) : null };
}
