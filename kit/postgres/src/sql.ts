import type { Column, ValueOf } from "./columns.ts";

export type Takes = readonly Column<unknown>[];
export type Gives = Readonly<Record<string, Column<unknown>>>;
/** The values that go with these kinds. */
export type ParametersOf<T extends Takes> = { readonly [Index in keyof T]: ValueOf<T[Index]> };
type RowOf<G extends Gives> = { -readonly [Name in keyof G]: ValueOf<G[Name]> };

/** One static SQL text with a name, the kinds of its parameters and of its columns. */
export interface Statement<Parameters extends readonly unknown[] = readonly unknown[], Row = unknown> {
  /** Unique in the whole program: the prepared statement's name, and what a slow-statement log shows. */
  readonly name: string;
  readonly text: string;
  readonly takes: Takes;
  readonly gives: Gives;
  /** Absent: objects by the names in `gives`. */
  readonly rowsAre?: "bytes";
  readonly _parameters?: Parameters;
  readonly _row?: Row;
}

const registry = new Map<string, Statement>();

/**
 * Declares a statement:
 *
 *     const lockShelfSql = sql("inventory.lock-shelf", {
 *       takes: [array(as<Sku>(text))],
 *       gives: { sku: as<Sku>(text), available: integer },
 *     })`select sku, available from inventory.stock where sku = any($1) order by sku for update`;
 *
 * The template takes no values, so nothing can be spliced into the text. A column whose name has two words is given its
 * name in the row by a quoted alias: `per_buyer_limit as "perBuyerLimit"`.
 */
export function sql<const T extends Takes, const G extends Gives>(
  name: string,
  { takes, gives }: { takes: T; gives: G },
) {
  return (text: TemplateStringsArray): Statement<ParametersOf<T>, RowOf<G>> => {
    if (text.length !== 1) throw new Error(`A value was spliced into the text of ${name}.`);
    return register({ name, text: text[0] ?? "", takes, gives });
  };
}

/**
 * The same for the kit's own statements over a table whose schema is known only when the program is composed. `text` is
 * made from constants and identifiers that `identifier()` accepted, never from input.
 */
export function composedSql<const T extends Takes, const G extends Gives>(
  name: string,
  { takes, gives, text }: { takes: T; gives: G; text: string },
): Statement<ParametersOf<T>, RowOf<G>> {
  return register({ name, text, takes, gives });
}

function register<Parameters extends readonly unknown[], Row>(
  statement: Statement<Parameters, Row>,
): Statement<Parameters, Row> {
  const { name, text, takes, gives } = statement;
  // PostgreSQL cuts longer names off without a word, and two names could become one.
  if (Buffer.byteLength(name) > 63) throw new Error(`The name ${name} is longer than 63 bytes.`);
  const before = registry.get(name);
  if (before && fingerprintOf(before) !== fingerprintOf({ text, takes, gives })) {
    throw new Error(`Two statements are named ${name}.`);
  }
  registry.set(statement.name, statement as Statement);
  return statement;
}

const fingerprintOf = ({ text, takes, gives }: Pick<Statement, "text" | "takes" | "gives">): string =>
  JSON.stringify([text, takes, gives]);

/** Every statement declared so far, by name: what the test that compares them with the schema goes through. */
export const declaredStatements = (): readonly Statement[] => [...registry.values()];

/** Accepts a plain lower-case SQL identifier and returns it; throws for everything else. */
export function identifier(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name)) throw new Error(`Not a plain SQL identifier: ${JSON.stringify(name)}`);
  return name;
}
