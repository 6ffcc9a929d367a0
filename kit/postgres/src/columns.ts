/**
 * The kinds of value that a statement takes and gives. A statement declares them as data, not only as TypeScript types,
 * so that a test can ask PostgreSQL what the statement really takes and gives and compare (see `describe.ts`).
 */

import { binaryArray } from "./binary-array.ts";

declare const kind: unique symbol;

/** One column or parameter: its PostgreSQL type, and `Value` as TypeScript sees it. */
export interface Column<Value> {
  /** The name in `pg_type`, for instance `int8` or `_text` (an array of text). */
  readonly type: string;
  readonly nullable: boolean;
  /** Turns a value into what the driver sends. Absent where the driver's own conversion is right. */
  readonly encode?: (value: never) => unknown;
  readonly [kind]?: Value;
}

const column = <Value>(type: string): Column<Value> => ({ type, nullable: false });

export const text = column<string>("text");
export const boolean = column<boolean>("bool");
export const integer = column<number>("int4");
/** A 64-bit integer, read as a number; a value beyond 2^53 throws rather than lose its last digits. */
export const bigint = column<number>("int8");
export const double = column<number>("float8");
export const uuid = column<string>("uuid");
export const bytes = column<Buffer>("bytea");
/** A moment as RFC 3339 in UTC with milliseconds, `2026-11-21T08:42:14.123Z`: equal moments are equal strings, and they sort. */
export const instant = column<string>("timestamptz");
/** A 64-bit transaction id, as text: no arithmetic is ever done on it outside the database. */
export const xid8 = column<string>("xid8");
/** `xmin:xmax:xip,...` as PostgreSQL prints it. */
export const snapshot = column<string>("pg_snapshot");
export const lsn = column<string>("pg_lsn");
export const voids = column<"">("void");

/** JSON of a known shape. The shape is the caller's promise: what comes from outside is validated before it is stored. */
export function json<Value>(): Column<Value> {
  return { type: "jsonb", nullable: false, encode: (value: never) => JSON.stringify(value) };
}

/**
 * The same for a column of type `json`: kept as it was written, which costs the server a third less to store and half to
 * read, and nothing in it is looked up. What `jsonb` would refuse (NUL, unpaired surrogates) it takes without a word.
 */
export function writtenJson<Value>(): Column<Value> {
  return { ...json<Value>(), type: "json" };
}

/** Many values as one parameter. */
export function array<Value>(element: Column<Value>): Column<readonly Value[]> {
  return {
    type: `_${element.type}`,
    nullable: false,
    encode: (values: never) => encodeArray(element, values as readonly unknown[]),
  };
}

function encodeArray({ type, encode }: Column<unknown>, values: readonly unknown[]): Buffer | string {
  const encoded = encode ? values.map((value) => (value == null ? value : encode(value as never))) : values;
  return binaryArray(type, encoded) ?? `{${encoded.map(elementLiteral).join()}}`;
}

// Numbers, ids, moments and most words: what can't be mistaken for the literal's own syntax, NULL excepted.
const plainElement = /^(?!null$)[\w.:+-]+$/i;
// Control characters and unpaired surrogates: what JSON escapes in another way than an array's literal does.
const escapedByJson = /[\p{Cc}\p{Cs}]/u;

/**
 * Written here: the driver's own writer goes over every element with two regular expressions, which took a fifth of the
 * CPU of a batch.
 */
function elementLiteral(value: unknown): string {
  if (value == null) return "NULL";
  if (Buffer.isBuffer(value)) return `"\\\\x${value.toString("hex")}"`;
  const text = String(value);
  if (plainElement.test(text)) return text;
  // The quickest way by far to put backslashes before quotes and backslashes.
  return escapedByJson.test(text) ? `"${text.replace(/["\\]/g, "\\$&")}"` : JSON.stringify(text);
}

/** The same column where null is allowed. PostgreSQL can't say whether an expression may be null; a declaration that it can't is checked at run time in tests. */
export function nullable<Value>(inner: Column<Value>): Column<Value | null> {
  const encode = inner.encode;
  return {
    type: inner.type,
    nullable: true,
    ...(encode && { encode: (value: never) => (value === null ? null : encode(value)) }),
  };
}

/** Gives a column a narrower kind: `as<Sku>(text)`. */
export const as = <Narrow extends Value, Value = unknown>(wide: Column<Value>): Column<Narrow> =>
  wide as unknown as Column<Narrow>;

export type ValueOf<C> = C extends Column<infer Value> ? Value : never;
