import { normalizeEmail } from "./account.ts";

/** Which addresses a page is to have. */
export interface Range {
  readonly from: string;
  readonly below: string;
  readonly after: string;
}

// The last code point, which Unicode says is no character: above every address with the prefix before it.
const last = "\u{10ffff}";

/** The addresses that begin so, behind the cursor's; undefined when the cursor is none of this list. */
export function rangeOf({
  emailPrefix,
  cursor,
}: {
  readonly emailPrefix: string;
  readonly cursor: string | undefined;
}): Range | undefined {
  const prefix = normalizeEmail(emailPrefix);
  const range = { from: prefix, below: `${prefix}${last}` };
  if (cursor === undefined) return { ...range, after: "" };
  const after = emailOfCursor(cursor);
  return after?.startsWith(prefix) ? { ...range, after } : undefined;
}

// A cursor is opaque: clients hand it back and nothing else, so what is in it may change with the version in front.
const version = "1";

export const cursorAfter = (email: string): string => Buffer.from(`${version}${email}`).toString("base64url");

function emailOfCursor(cursor: string): string | undefined {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  const isOurs = text.startsWith(version) && !text.includes("\u0000") && cursorAfter(text.slice(1)) === cursor;
  return isOurs ? text.slice(1) : undefined;
}

/** Cuts what was read with one row more than wanted to a page, and tells where the next one begins. */
export function accountPage<Row extends { readonly email: string }>(
  rows: readonly Row[],
  limit: number,
): { accounts: Row[]; next: string | null } {
  const accounts = rows.slice(0, limit);
  const end = accounts.at(-1);
  return { accounts, next: end !== undefined && rows.length > limit ? cursorAfter(end.email) : null };
}
