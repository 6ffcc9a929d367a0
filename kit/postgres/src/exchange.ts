import pg from "pg";
import { parsers } from "./parsers.ts";
import { toParameter } from "./query.ts";
import { type RowBytes, type RowTaker, tapOf } from "./rows-as-bytes.ts";
import type { Statement } from "./sql.ts";

/** What a statement was answered with. */
export interface Answer {
  readonly rows: readonly (Readonly<Record<string, unknown>> | RowBytes)[];
  /** Rows that were given or touched. */
  readonly rowCount: number;
  /** `INSERT`, `COMMIT`: what the server says that it did. */
  readonly command: string;
}

/** An error as it looks to those who wait: thrown where an answer was read, it would show the driver's stack and none of theirs. */
export function fromHere(error: unknown): unknown {
  if (error instanceof Error) Error.captureStackTrace(error);
  return error;
}

/**
 * Statements that go to the server in one packet and are answered in one. The driver asks for an answer behind each of its
 * queries: the server writes it, this process wakes for it and reads it, which for a short statement is dearer than the
 * statement. Here it is asked for behind the last. When one fails, the server passes over those behind it, and they fail
 * with it.
 *
 * Outside of a transaction the statements of one exchange are one, too: who wants them apart sends an exchange for each.
 *
 * Handed to the driver as a query, whose methods it calls in the order of the answer's parts. A statement is prepared, and its
 * columns described, the first time that it goes over a connection.
 */
export class Exchange extends pg.Query implements RowTaker {
  /** The driver's: it stops the clock of the whole exchange. */
  callback: ((error?: unknown) => void) | undefined;
  /** Of all its statements. */
  wantsBytes = false;
  readonly #sent: Sent[] = [];
  /** Which of them the server answers next. */
  #at = 0;
  #isOver = false;

  constructor() {
    // The driver's own parts of a query are not used.
    super("");
  }

  /** Before the exchange is handed to the driver. */
  add(statement: Sendable, parameters: readonly unknown[]): Promise<Answer> {
    const values = parameters.map(toParameter);
    return new Promise((resolve, reject) => {
      this.#sent.push(new Sent(statement, values, { resolve, reject }));
    });
  }

  override readonly submit = (connection: pg.Connection): void => {
    const wire = connection as unknown as Wire;
    const known = preparedOn(connection);
    wire.stream.cork();
    for (const sent of this.#sent) {
      const { name, text } = sent.statement;
      sent.prepared = known.get(name);
      const isNew = sent.prepared === undefined;
      if (isNew) {
        sent.prepared = {};
        sent.forget = () => known.delete(name);
        known.set(name, sent.prepared);
        // An earlier attempt may have failed before it was prepared, or after; closing what is not there is no error.
        wire.close({ type: "S", name });
        wire.parse({ name, text });
      }
      wire.bind({ statement: name, values: sent.values });
      if (isNew) wire.describe({ type: "P" });
      wire.execute();
    }
    wire.sync();
    wire.stream.uncork();
    this.wantsBytes = this.#sent.every((sent) => sent.wantsBytes);
    tapOf(connection)?.asks(this);
  };

  handleRowDescription({ fields }: { fields: readonly pg.FieldDef[] }): void {
    const prepared = this.#sent[this.#at]?.prepared;
    if (prepared) prepared.shape = shapeOf(fields);
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    const sent = this.#sent[this.#at];
    if (!sent?.prepared?.shape || sent.unreadable) return;
    if (sent.wantsBytes) {
      sent.unreadable = {
        error: new TypeError(`${sent.statement.name} gives its rows as bytes only outside of transactions.`),
      };
      return;
    }
    try {
      sent.rows.push(readRow(sent.prepared.shape, fields));
    } catch (error) {
      // The statement has done its work all the same, and so do those behind it.
      sent.unreadable = { error };
    }
  }

  takeRow(row: RowBytes): void {
    this.#sent[this.#at]?.rows.push(row);
  }

  handleCommandComplete({ text }: { text: string }): void {
    const sent = this.#sent[this.#at++];
    if (!sent) return;
    // "INSERT 0 1", "UPDATE 3", "COMMIT", "LOCK TABLE".
    const end = text.indexOf(" ");
    sent.command = end < 0 ? text : text.slice(0, end);
    sent.rowCount = Number(text.slice(text.lastIndexOf(" "))) || 0;
  }

  handleReadyForQuery(): void {
    this.#end(undefined);
  }

  handleError(error: unknown): void {
    this.#end({ error });
  }

  #end(failed: { readonly error: unknown } | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (let index = 0; index < this.#sent.length; index++) {
      const sent = this.#sent[index];
      if (index < this.#at) sent?.succeed();
      else sent?.fail(failed ? failed.error : new Error("It was not answered."));
    }
    this.callback?.();
  }
}

/** A statement on its way, and what has come of it. */
class Sent implements Answer {
  readonly rows: (Row | RowBytes)[] = [];
  rowCount = 0;
  command = "";
  prepared: Prepared | undefined;
  /** Of what this exchange prepares: that it must be prepared again. */
  forget: (() => void) | undefined;
  unreadable: { readonly error: unknown } | undefined;
  readonly statement: Sendable;
  readonly values: readonly Parameter[];
  readonly #settle: Settle;

  constructor(statement: Sendable, values: readonly Parameter[], settle: Settle) {
    this.statement = statement;
    this.values = values;
    this.#settle = settle;
  }

  get wantsBytes(): boolean {
    return this.statement.rowsAre === "bytes";
  }

  succeed(): void {
    if (this.unreadable) this.#settle.reject(this.unreadable.error);
    else this.#settle.resolve(this);
  }

  fail(error: unknown): void {
    this.forget?.();
    this.#settle.reject(error);
  }
}

type Sendable = Pick<Statement, "name" | "text" | "rowsAre">;

interface Settle {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

type Parameter = ReturnType<typeof toParameter>;
type Row = Record<string, unknown>;

/** What the driver's connection can say to the server. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: readonly Parameter[] }): void;
  describe(message: { type: "P" }): void;
  execute(): void;
  close(message: { type: "S"; name: string }): void;
  sync(): void;
}

/** A statement that a connection knows by its name. */
interface Prepared {
  /** Absent before it was first answered, and where it gives no rows. */
  shape?: Shape;
}

/** The columns of a statement's rows. They stay as they are: PostgreSQL refuses a prepared statement whose columns changed. */
interface Shape {
  readonly names: readonly string[];
  readonly parse: readonly ((text: string) => unknown)[];
  /** Copied for each row, so that all of them are objects of one kind. */
  readonly empty: Row;
}

const prepared = new WeakMap<pg.Connection, Map<string, Prepared>>();

function preparedOn(connection: pg.Connection): Map<string, Prepared> {
  const known = prepared.get(connection) ?? new Map<string, Prepared>();
  prepared.set(connection, known);
  return known;
}

const shapeOf = (fields: readonly pg.FieldDef[]): Shape => ({
  names: fields.map(({ name }) => name),
  parse: fields.map(
    ({ dataTypeID }) => parsers.getTypeParser(dataTypeID as never, "text") as (text: string) => unknown,
  ),
  empty: Object.fromEntries(fields.map(({ name }) => [name, null])),
});

function readRow({ names, parse, empty }: Shape, fields: readonly (string | null)[]): Row {
  const row = { ...empty };
  for (let index = 0; index < names.length; index++) {
    const text = fields[index];
    if (text != null) row[names[index] as string] = parse[index]?.(text);
  }
  return row;
}
