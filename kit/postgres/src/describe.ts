import pg from "pg";
import { identifier, type Statement } from "./sql.ts";

/** What PostgreSQL says about a statement. Types are names in `pg_type`, as in `columns.ts`. */
export interface StatementDescription {
  readonly takes: readonly string[];
  readonly gives: readonly { readonly name: string; readonly type: string }[];
}

export interface Describer extends AsyncDisposable {
  /** @throws the error that PostgreSQL raises when it can't parse the statement against this schema. */
  describe(statement: Pick<Statement, "text">): Promise<StatementDescription>;
  close(): Promise<void>;
}

/**
 * Opens a connection for describing statements. Each is parsed and analysed against the migrated schema, and not run.
 * Unqualified names mean `schema`.
 */
export async function openDescriber({ url, schema }: { url: string; schema: string }): Promise<Describer> {
  // Not pipelined: the driver takes queries of our own making only on a plain connection.
  const client = new pg.Client({
    connectionString: url,
    application_name: "describe statements",
    options: `-c search_path=${identifier(schema)}`,
  });
  client.on("error", () => undefined);
  await client.connect();
  const types = await typeNames(client);
  const close = () => client.end();
  return {
    async describe({ text }) {
      const { parameters, fields } = await new Promise<Answer>((resolve, reject) => {
        client.query(new DescribeQuery(text, resolve, reject));
      });
      return {
        takes: parameters.map((oid) => types.get(oid) ?? String(oid)),
        gives: fields.map(({ name, dataTypeID }) => ({ name, type: types.get(dataTypeID) ?? String(dataTypeID) })),
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function typeNames(client: pg.Client): Promise<Map<number, string>> {
  const { rows } = await client.query<{ oid: number; typname: string }>("select oid, typname from pg_type");
  return new Map(rows.map(({ oid, typname }) => [oid, typname]));
}

interface Answer {
  readonly parameters: readonly number[];
  readonly fields: readonly pg.FieldDef[];
}

/** Parse and Describe of the extended protocol without Bind and Execute, which the driver has no call for. */
class DescribeQuery implements pg.Submittable {
  readonly #text: string;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  #parameters: readonly number[] = [];
  #fields: readonly pg.FieldDef[] = [];

  constructor(text: string, resolve: (answer: Answer) => void, reject: (error: unknown) => void) {
    this.#text = text;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: pg.Connection): void {
    // The driver passes this message on to nobody.
    connection.once("parameterDescription", ({ dataTypeIDs }: { dataTypeIDs: readonly number[] }) => {
      this.#parameters = dataTypeIDs;
    });
    connection.parse({ name: "", text: this.#text, types: [] }, true);
    connection.describe({ type: "S", name: "" }, true);
    connection.sync();
  }

  handleRowDescription({ fields }: { fields: readonly pg.FieldDef[] }): void {
    this.#fields = fields;
  }

  handleError(error: unknown): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve({ parameters: this.#parameters, fields: this.#fields });
  }
}

/**
 * Compares declared statements with what PostgreSQL says of them against a migrated schema, and gives one sentence for
 * each difference: a parameter's or a column's type, a column that is missing or not declared, a statement that doesn't
 * parse. Whether a column may be null PostgreSQL can't say; `checkRows` of a test's database looks at that.
 */
export async function findMisdeclared(describer: Describer, statements: readonly Statement[]): Promise<string[]> {
  const faults: string[] = [];
  for (const statement of statements) {
    try {
      const said = await describer.describe(statement);
      faults.push(...compare(statement, said).map((fault) => `${statement.name}: ${fault}`));
    } catch (error) {
      faults.push(`${statement.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return faults;
}

function compare({ takes, gives }: Statement, said: StatementDescription): string[] {
  return [
    ...compareParameters(
      takes.map(({ type }) => type),
      said.takes,
    ),
    ...compareColumns(gives, said.gives),
  ];
}

function compareParameters(declared: readonly string[], said: readonly string[]): string[] {
  if (declared.length !== said.length) return [`takes ${said.length} parameters, ${declared.length} are declared`];
  return said.flatMap((type, index) =>
    type === declared[index] ? [] : [`parameter ${index + 1} is ${type}, declared ${declared[index]}`],
  );
}

function compareColumns(declared: Statement["gives"], said: StatementDescription["gives"]): string[] {
  const names = new Set(said.map(({ name }) => name));
  const missing = Object.keys(declared).filter((name) => !names.has(name));
  const differing = said.flatMap(({ name, type }) => {
    const column = declared[name];
    if (column === undefined) return [`column ${name} is not declared`];
    return column.type === type ? [] : [`column ${name} is ${type}, declared ${column.type}`];
  });
  const twice = names.size < said.length ? ["two columns have one name"] : [];
  return [...missing.map((name) => `column ${name} is declared and not given`), ...differing, ...twice];
}
