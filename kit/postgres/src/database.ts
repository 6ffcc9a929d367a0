import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { isRetryable, isStalePlan } from "./errors.ts";
import { parsers } from "./parsers.ts";
import { PipelinedLine } from "./pipelined-line.ts";
import { checkRows } from "./query.ts";
import { openReplication, type Replication } from "./replication.ts";
import { identifier, type Statement } from "./sql.ts";
import { type CheckAnswer, runOnce } from "./transaction.ts";

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
  /**
   * Opens a connection for logical replication, as the user of the URL, not as the role; whoever opened it closes it.
   * Its session's time zone and date style are pinned like those of every other connection.
   */
  replication(applicationName: string, settings?: readonly string[]): Promise<Replication>;
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
  const checked: CheckAnswer = options.checkRows ? checkRows : (_, answer) => answer;

  return {
    home,
    query: async (statement, parameters) => checked(statement, await line.run(statement, parameters)).rows as never,
    execute: async (statement, parameters) => (await line.run(statement, parameters)).rowCount,
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
    replication: (applicationName, settings = []) =>
      openReplication({ url: options.url, applicationName, settings: [...pinnedFormats, ...settings] }),
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

function addressOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || "5432"}${pathname}`;
}
