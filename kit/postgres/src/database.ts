import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Column } from "./columns.ts";
import {
  CommitUnknownError,
  isRetryable,
  isStalePlan,
  SwallowedFailureError,
  saysNothingAboutCommit,
  sqlState,
  TransactionEndedError,
} from "./errors.ts";
import { parsers } from "./parsers.ts";
import { identifier, type Statement } from "./sql.ts";

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  /** The schema that unqualified names mean, and the role that may use nothing but it. Absent for an administrator's connection. */
  readonly schema?: string;
  readonly role?: string;
  /** Connections for transactions. One more carries single statements, pipelined. */
  readonly connections: number;
  readonly applicationName: string;
  /** Milliseconds after which PostgreSQL cancels a statement; a server that does not even do that loses the connection soon after. */
  readonly statementTimeoutMs?: number;
  /** Milliseconds that a statement waits for a row lock before it fails (`isLockTimeout`). */
  readonly lockTimeoutMs?: number;
  /** Compares every row with its statement's declaration: for tests, which so find a null where none was declared. */
  readonly checkRows?: boolean;
}

/** Where a transaction runs: which database, as the address of it, and which schema's owner it works for. */
export interface Home {
  readonly database: string;
  readonly schema: string;
}

/** Runs statements; each of them is a transaction of its own. */
export interface Queryable {
  query<Parameters extends readonly unknown[], Row>(
    statement: Statement<Parameters, Row>,
    parameters: Parameters,
  ): Promise<Row[]>;
  /** The same for a statement of which only the number of touched rows matters. */
  execute<Parameters extends readonly unknown[], Row>(
    statement: Statement<Parameters, Row>,
    parameters: Parameters,
  ): Promise<number>;
}

/**
 * A transaction under way. Statements are sent as they are called, without waiting for earlier ones, so
 * `Promise.all([tx.query(a), tx.query(b)])` costs one round trip. Every use after its end throws.
 */
export interface Transaction extends Queryable {
  readonly home: Home;
  /**
   * Called once the commit is certain, in the order of registration. Never called after a rollback, nor when the answer
   * to COMMIT was lost: what it does must be an acceleration, not a necessity.
   */
  afterCommit(react: () => void): void;
}

export interface TransactionOptions {
  /** Attempts at the whole transaction when PostgreSQL asks for a retry (40001, 40P01). */
  readonly attempts?: number;
  readonly isolation?: "read committed" | "repeatable read" | "serializable";
}

export interface Database extends Queryable {
  readonly home: Home;
  /**
   * Runs `work` in one transaction and commits it. On a serialization failure or a deadlock the whole of `work` runs
   * again, so it must do nothing outside the transaction.
   */
  transaction<Result>(work: (tx: Transaction) => Promise<Result>, options?: TransactionOptions): Promise<Result>;
  /** Lets what is under way end, for 5 s at most, and closes every connection. */
  close(): Promise<void>;
}

// Plans are made once per connection and kept: statistics of tables that were empty when the plan was made would
// otherwise choose a sequential scan for ever. Measured: the largest single gain of the whole order path.
const pinnedPlans = [
  "plan_cache_mode=force_generic_plan",
  "jit=off",
  "enable_seqscan=off",
  "enable_bitmapscan=off",
  "enable_sort=off",
  "enable_incremental_sort=off",
  "enable_hashjoin=off",
  "enable_mergejoin=off",
];

// What the parsers rely on, whatever the server's defaults are.
const pinnedFormats = ["TimeZone=UTC", "DateStyle=ISO"];

// A program that stops in the middle of a transaction (frozen, or in an endless loop) must not hold its row locks for
// ever. Far above every batch, which is seconds at most.
const idleInTransactionMs = 60_000;

const defaultStatementTimeoutMs = 30_000;

// PostgreSQL's own cancel comes first and keeps the connection; this is for a server that is frozen or cut off.
const silenceMs = 500;

// A server that accepts no connection, or a pool that frees none, within this time is as good as down.
const connectMs = 2_000;

// Longer than any statement of a request; a drain that takes longer is stuck.
const closeMs = 5_000;

/** Opens a database for one schema's owner. No connection is made before the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const home: Home = { database: addressOf(options.url), schema: options.schema ?? "public" };
  const clients = new Set<pg.Client>();
  const keep = (client: pg.Client) => {
    clients.add(client);
    client.once("end", () => clients.delete(client));
    // A lost connection is told to whoever has a statement under way; without a listener it would end the process.
    client.on("error", () => undefined);
  };
  const pool = new pg.Pool({
    ...connectionConfig(options, transactionOnly),
    max: options.connections,
    idleTimeoutMillis: 60_000,
    allowExitOnIdle: true,
  });
  pool.on("connect", keep);
  pool.on("error", () => undefined);
  const line = new PipelinedLine(connectionConfig(options, []), keep);
  let closed: Promise<void> | undefined;
  const checked = options.checkRows ? checkRows : (_: Statement, result: pg.QueryResult) => result;

  return {
    home,
    query: async (statement, parameters) => checked(statement, await line.run(statement, parameters)).rows as never,
    execute: async (statement, parameters) => (await line.run(statement, parameters)).rowCount ?? 0,
    async transaction(work, { attempts = 3, isolation = "read committed" } = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await runOnce(pool, { home, isolation, checked }, work);
        } catch (error) {
          if (attempt >= attempts || !(isRetryable(error) || isStalePlan(error))) throw error;
          // Full jitter, so that two transactions that deadlocked do not meet again.
          await sleep(Math.random() * 20 * 2 ** attempt);
        }
      }
    },
    close() {
      closed ??= closeAll(pool, line, clients);
      return closed;
    },
  };
}

async function closeAll(pool: pg.Pool, line: PipelinedLine, clients: ReadonlySet<pg.Client>): Promise<void> {
  const stuck = setTimeout(() => {
    for (const client of clients) client.connection.stream.destroy();
  }, closeMs);
  try {
    await Promise.all([pool.end(), line.close()]);
  } finally {
    clearTimeout(stuck);
  }
}

// Transactions send BEGIN together with their first statement. If BEGIN alone failed (an administrator's cancel can hit
// it), the statements behind it would each commit by themselves; on these connections they can't write without it.
const transactionOnly = [
  "default_transaction_read_only=on",
  `idle_in_transaction_session_timeout=${idleInTransactionMs}`,
];

function connectionConfig(options: DatabaseOptions, further: readonly string[]): pg.PoolConfig & { pipeline: boolean } {
  const statementTimeoutMs = options.statementTimeoutMs ?? defaultStatementTimeoutMs;
  const settings = [...pinnedFormats, ...further, `statement_timeout=${statementTimeoutMs}`];
  if (options.schema !== undefined) settings.push(...pinnedPlans, `search_path=${identifier(options.schema)}`);
  if (options.role !== undefined) settings.push(`role=${identifier(options.role)}`);
  if (options.lockTimeoutMs !== undefined) settings.push(`lock_timeout=${options.lockTimeoutMs}`);
  return {
    connectionString: options.url,
    application_name: options.applicationName,
    pipeline: true,
    types: parsers,
    keepAlive: true,
    // An idle connection whose other side vanished without a word is found by the system's probes, not by a user.
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: connectMs,
    query_timeout: statementTimeoutMs + silenceMs,
    options: settings.map((setting) => `-c ${setting}`).join(" "),
  };
}

type CheckResult = (statement: Statement, result: pg.QueryResult) => pg.QueryResult;

interface TransactionSetting {
  readonly home: Home;
  readonly isolation: NonNullable<TransactionOptions["isolation"]>;
  readonly checked: CheckResult;
}

async function runOnce<Result>(
  pool: pg.Pool,
  setting: TransactionSetting,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  const tx = new OpenTransaction(client, setting);
  let result: Result;
  try {
    result = await work(tx);
    await tx.settle();
  } catch (error) {
    tx.end();
    await rollBack(client, error);
    throw error;
  }
  tx.end();
  await commit(client, tx);
  tx.committed();
  return result;
}

async function commit(client: pg.PoolClient, tx: OpenTransaction): Promise<void> {
  let command: string;
  try {
    ({ command } = await client.query("commit"));
  } catch (error) {
    client.release(true);
    if (saysNothingAboutCommit(error)) throw new CommitUnknownError("The answer to COMMIT was lost.", { cause: error });
    throw error;
  }
  client.release();
  if (command !== "COMMIT") throw new SwallowedFailureError({ cause: tx.failure });
}

/** Rolls back and gives the connection back, or throws it away where it can't be trusted any more. */
async function rollBack(client: pg.PoolClient, cause: unknown): Promise<void> {
  try {
    await client.query("rollback");
    client.release(isStalePlan(cause));
  } catch {
    // The connection itself failed; PostgreSQL rolls back by losing it.
    client.release(true);
  }
}

class OpenTransaction implements Transaction {
  readonly home: Home;
  /** The first failure of a statement, whether or not anybody looked at it. */
  failure: unknown;
  readonly #client: pg.PoolClient;
  readonly #checked: CheckResult;
  readonly #afterCommit: (() => void)[] = [];
  readonly #begun: Promise<unknown>;
  #open = true;
  #pending = 0;
  #idle: (() => void) | undefined;

  constructor(client: pg.PoolClient, { home, isolation, checked }: TransactionSetting) {
    this.#client = client;
    this.#checked = checked;
    this.home = home;
    // Not awaited: the first statement follows in the same packet.
    this.#begun = client.query(`begin isolation level ${isolation} read write`);
    this.#begun.catch((error) => {
      this.failure ??= error;
    });
  }

  query<Parameters extends readonly unknown[], Row>(
    statement: Statement<Parameters, Row>,
    parameters: Parameters,
  ): Promise<Row[]> {
    return observed(this.#run(statement, parameters).then((result) => this.#checked(statement, result).rows as Row[]));
  }

  execute<Parameters extends readonly unknown[], Row>(
    statement: Statement<Parameters, Row>,
    parameters: Parameters,
  ): Promise<number> {
    return observed(this.#run(statement, parameters).then(({ rowCount }) => rowCount ?? 0));
  }

  afterCommit(react: () => void): void {
    if (!this.#open) throw new TransactionEndedError();
    this.#afterCommit.push(react);
  }

  /** Waits until every statement sent has answered, so that none can run into the next transaction of this connection. */
  async settle(): Promise<void> {
    await this.#begun;
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
  }

  end(): void {
    this.#open = false;
  }

  committed(): void {
    for (const react of this.#afterCommit) {
      try {
        react();
      } catch (error) {
        // The transaction stands, so its caller must not hear of a failure; as an uncaught error the fault is seen.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  async #run(statement: Statement, parameters: readonly unknown[]): Promise<pg.QueryResult> {
    if (!this.#open) throw new TransactionEndedError();
    const query = toQuery(statement, parameters);
    this.#pending++;
    try {
      return await this.#client.query(query);
    } catch (error) {
      this.failure ??= error;
      // Of statements sent together, those behind the one that failed say only that the transaction is aborted, and
      // theirs may be the first answer that the caller looks at. Whether to try again depends on the failure itself.
      throw followUpStates.has(sqlState(error) ?? "") ? this.failure : error;
    } finally {
      if (--this.#pending === 0) this.#idle?.();
    }
  }
}

// The transaction is aborted; a statement is unknown because its preparation failed so; BEGIN failed, so that a write has
// no transaction to be in.
const followUpStates = new Set(["25P02", "26000", "25006"]);

/** A statement that nobody awaits must not end the process when it fails: the commit fails instead, and tells why. */
function observed<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => undefined);
  return promise;
}

/** Single statements of many callers over one connection, each sent at once and answered in order. */
class PipelinedLine {
  readonly #config: pg.ClientConfig;
  readonly #keep: (client: pg.Client) => void;
  #connection: Promise<pg.Client> | undefined;
  #closed = false;

  constructor(config: pg.ClientConfig, keep: (client: pg.Client) => void) {
    this.#config = config;
    this.#keep = keep;
  }

  async run(statement: Statement, parameters: readonly unknown[]): Promise<pg.QueryResult> {
    const query = toQuery(statement, parameters);
    const connection = this.#connected();
    const client = await connection;
    try {
      return await client.query(query);
    } catch (error) {
      // Not sent again, though it did nothing: callers may count on the order in which they sent. The next statement
      // gets a new connection; the old one ends when it has answered all.
      if (isStalePlan(error)) {
        this.#forget(connection);
        void client.end();
      }
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = await this.#connection?.catch(() => undefined);
    await client?.end();
  }

  #connected(): Promise<pg.Client> {
    if (this.#closed) throw new Error("Cannot use a pool after calling end on the pool");
    this.#connection ??= this.#connect();
    return this.#connection;
  }

  #connect(): Promise<pg.Client> {
    const client = new pg.Client(this.#config);
    this.#keep(client);
    const connection = client.connect().then(() => client);
    connection.catch(() => this.#forget(connection));
    client.once("end", () => this.#forget(connection));
    client.once("error", () => {
      this.#forget(connection);
      // After an error the driver sends nothing more, but the socket may still be open.
      client.connection.stream.destroy();
    });
    return connection;
  }

  /** The next statement gets a new connection; unless it has one already, since a connection can fail more than once. */
  #forget(connection: Promise<pg.Client>): void {
    if (this.#connection === connection) this.#connection = undefined;
  }
}

function toQuery(statement: Statement, parameters: readonly unknown[]): pg.QueryConfig {
  const { name, text, takes } = statement;
  if (parameters.length !== takes.length)
    throw new TypeError(`${name} takes ${takes.length} parameters, not ${parameters.length}.`);
  return { name, text, values: parameters.map((value, index) => encode(statement, index, value)) };
}

function encode({ name, takes }: Statement, index: number, value: unknown): unknown {
  const column: Column<unknown> | undefined = takes[index];
  // The driver would send undefined as null, which is how a misspelt field empties a column.
  if (value === undefined) throw new TypeError(`Parameter ${index + 1} of ${name} is undefined.`);
  if (value === null && !column?.nullable) throw new TypeError(`Parameter ${index + 1} of ${name} is null.`);
  return column?.encode ? column.encode(value as never) : value;
}

function checkRows(statement: Statement, result: pg.QueryResult): pg.QueryResult {
  for (const row of result.rows) {
    for (const [name, { nullable }] of Object.entries(statement.gives)) {
      if (row[name] === undefined) throw new TypeError(`${statement.name} gives no column ${name}.`);
      if (row[name] === null && !nullable)
        throw new TypeError(`Column ${name} of ${statement.name} is null and not declared so.`);
    }
  }
  return result;
}

function addressOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || "5432"}${pathname}`;
}
