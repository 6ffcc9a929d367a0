import type { Column } from "./columns.ts";
import type { Answer } from "./exchange.ts";
import type { Statement } from "./sql.ts";

/** The parameters as any driver can send them. Throws a `TypeError` where one is missing, or null where none may be. */
export function encodeParameters(statement: Statement, parameters: readonly unknown[]): unknown[] {
  const { name, takes } = statement;
  if (parameters.length !== takes.length)
    throw new TypeError(`${name} takes ${takes.length} parameters, not ${parameters.length}.`);
  return parameters.map((value, index) => encode(statement, index, value));
}

function encode({ name, takes }: Statement, index: number, value: unknown): unknown {
  const column: Column<unknown> | undefined = takes[index];
  // The driver would send undefined as null, which is how a misspelt field empties a column.
  if (value === undefined) throw new TypeError(`Parameter ${index + 1} of ${name} is undefined.`);
  if (value === null && !column?.nullable) throw new TypeError(`Parameter ${index + 1} of ${name} is null.`);
  return column?.encode ? column.encode(value as never) : value;
}

/** How a value travels: as text, or as bytes in PostgreSQL's binary form. */
export function toParameter(value: unknown): string | Buffer | null {
  if (typeof value === "string" || value === null || Buffer.isBuffer(value)) return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  throw new TypeError(`A ${typeof value} can't be sent: its column says not how.`);
}

/** Throws when a row does not look as its statement declares. */
export function checkRows(statement: Statement, answer: Answer): Answer {
  if (statement.rowsAre === "bytes") return answer;
  for (const row of answer.rows as readonly Readonly<Record<string, unknown>>[]) {
    for (const [name, { nullable }] of Object.entries(statement.gives)) {
      if (row[name] === undefined) throw new TypeError(`${statement.name} gives no column ${name}.`);
      if (row[name] === null && !nullable)
        throw new TypeError(`Column ${name} of ${statement.name} is null and not declared so.`);
    }
  }
  return answer;
}
