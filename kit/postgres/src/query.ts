import type pg from "pg";
import type { Column } from "./columns.ts";
import type { Statement } from "./sql.ts";

/** What the driver is to send for a statement with these parameters. */
export const toQuery = (statement: Statement, parameters: readonly unknown[]): pg.QueryConfig => ({
  name: statement.name,
  text: statement.text,
  values: encodeParameters(statement, parameters),
});

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

/** Throws when a row does not look as its statement declares. */
export function checkRows(statement: Statement, result: pg.QueryResult): pg.QueryResult {
  for (const row of result.rows) {
    for (const [name, { nullable }] of Object.entries(statement.gives)) {
      if (row[name] === undefined) throw new TypeError(`${statement.name} gives no column ${name}.`);
      if (row[name] === null && !nullable)
        throw new TypeError(`Column ${name} of ${statement.name} is null and not declared so.`);
    }
  }
  return result;
}

/**
 * Sends a query. What one turn of the event loop sends over a connection leaves as one packet: system calls, and waking
 * the server, are what short statements cost most.
 */
export function send(client: pg.Client, query: pg.QueryConfig | string): Promise<pg.QueryResult> {
  const { stream } = client.connection;
  if (stream.writableCorked === 0) {
    stream.cork();
    process.nextTick(() => stream.uncork());
  }
  return client.query(query);
}
