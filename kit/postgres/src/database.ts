import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Column } from "./columns.ts";
import { CommitUnknownError, isRetryable, isUnavailable, SwallowedFailureError, TransactionEndedError } from "./errors.ts";
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
  /** Milliseconds after which a statement that has not answered is given up and its connection destroyed. */
  readonly statementTimeoutMs?: number;
  /** Milliseconds that a statement waits for a row lock before it fails (`isLockTimeout`). */
  readonly lockTimeoutMs?: number;
}

/** Where a transaction runs: which database, as the address of it, and which schema's owner it works for. */
export interface Home {
  readonly database: string;
  readonly schema: string;
}

/** Runs statements; each of them is a transaction of its own. */
export interface Queryable {
  query<Parameters extends readonly unknown[], Row>(statement: Statement<Parameters, Row>, parameters: Parameters): Promise<Row[]>;
  /** The same for a statement of which only the number of touched rows matters. */
  execute<Parameters extends readonly unknown[], Row>(statement: Statement<Parameters, Row>, parameters: Parameters): Promise<number>;
}

/**
 * A transaction under way. Statements are sent as they are called, without waiting for earlier ones, so
 * `Promise.all([tx.query(a), tx.query(b)])` costs one round trip. Every use after its end throws.
 */
export interface Transaction extends Queryable {
  readonly home: Home;
  /** Called once the commit is certain, in the order of registration; it must not throw. Never called after a rollback. */
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

/** Opens a database for one schema's owner. No connection is made before the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const home: Home = { database: addressOf(options.url), schema: options.schema ?? "public" };
  const config = connectionConfig(options);
  const pool = new pg.Pool({ ...config, max: options.connections, idleTimeoutMillis: 60_000, allowExitOnIdle: true });
  const single = new pg.Pool({ ...config, max: 1, idleTimeoutMillis: 0, allowExitOnIdle: true });
  // An idle connection that the server closes reports here; the pool drops it and the next user gets a new one.
  pool.on("error", () => undefined);
  single.on("error", () => undefined);
  const line = new PipelinedLine(single);

  return {
    home,
    query: async (statement, parameters) => (await line.run(statement, parameters)).rows as never,
    execute: async (statement, parameters) => (await line.run(statement, parameters)).rowCount ?? 0,
    async transaction(work, { attempts = 3, isolation = "read committed" } = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await runOnce(pool, home, isolation, work);
        } catch (error) {
          if (attempt >= attempts || !isRetryable(error)) throw error;
          // Full jitter, so that two transactions that deadlocked do not meet again.
          await sleep(Math.random() * 20 * 2 ** attempt);
        }
      }
    },
    async close() {
      await Promise.all([pool.end(), single.end()]);
    },
  };
}

function connectionConfig(options: DatabaseOptions): pg.PoolConfig & { pipeline: boolean } {
  const settings = options.schema === undefined ? [] : [...pinnedPlans, `search_path=${identifier(options.schema)}`];
  if (options.role !== undefined) settings.push(`role=${identifier(options.role)}`);
  if (options.lockTimeoutMs !== undefined) settings.push(`lock_timeout=${options.lockTimeoutMs}`);
  return {
    connectionString: options.url,
    application_name: options.applicationName,
    pipeline: true,
    types: parsers,
    keepAlive: true,
    // A server that accepts no connection within this time is as good as down; callers turn it into a 503.
    connectionTimeoutMillis: 2_000,
    query_timeout: options.statementTimeoutMs ?? 30_000,
    options: settings.map((setting) => `-c ${setting}`).join(" "),
  };
}

async function runOnce<Result>(
  pool: pg.Pool,
  home: Home,
  isolation: NonNullable<TransactionOptions["isolation"]>,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  const tx = new OpenTransaction(client, home, isolation);
  let result: Result;
  try {
    result = await work(tx);
    await tx.settle();
  } catch (error) {
    tx.end();
    client.release(await rollBack(client, error));
    throw error;
  }
  tx.end();
  try {
    const { command } = await client.query("commit");
    if (command !== "COMMIT") throw new SwallowedFailureError();
  } catch (error) {
    client.release(true);
    if (isUnavailable(error)) throw new CommitUnknownError("The answer to COMMIT was lost.", { cause: error });
    throw error;
  }
  client.release();
  tx.committed();
  return result;
}

/** Rolls back, and tells whether the connection must be thrown away. */
async function rollBack(client: pg.PoolClient, cause: unknown): Promise<boolean> {
  if (isUnavailable(cause)) return true;
  try {
    await client.query("rollback");
    return false;
  } catch {
    // The connection itself failed; PostgreSQL rolls back by losing it.
    return true;
  }
}

class OpenTransaction implements Transaction {
  readonly home: Home;
  readonly #client: pg.PoolClient;
  readonly #afterCommit: (() => void)[] = [];
  readonly #begun: Promise<unknown>;
  #open = true;
  #pending = 0;
  #idle: (() => void) | undefined;

  constructor(client: pg.PoolClient, home: Home, isolation: string) {
    this.#client = client;
    this.home = home;
    // Not awaited: the first statement follows in the same packet.
    this.#begun = client.query(`begin isolation level ${isolation}`);
    this.#begun.catch(() => undefined);
  }

  async query<Parameters extends readonly unknown[], Row>(statement: Statement<Parameters, Row>, parameters: Parameters): Promise<Row[]> {
    return (await this.#run(statement, parameters)).rows as Row[];
  }

  async execute<Parameters extends readonly unknown[], Row>(statement: Statement<Parameters, Row>, parameters: Parameters): Promise<number> {
    return (await this.#run(statement, parameters)).rowCount ?? 0;
  }

  afterCommit(react: () => void): void {
    if (!this.#open) throw new TransactionEndedError();
    this.#afterCommit.push(react);
  }

  /** Waits until every statement sent has answered, so that none can run into the next transaction of this connection. */
  async settle(): Promise<void> {
    await this.#begun;
    if (this.#pending > 0) await new Promise<void>((resolve) => { this.#idle = resolve; });
  }

  end(): void {
    this.#open = false;
  }

  committed(): void {
    for (const react of this.#afterCommit) react();
  }

  async #run(statement: Statement, parameters: readonly unknown[]): Promise<pg.QueryResult> {
    if (!this.#open) throw new TransactionEndedError();
    this.#pending++;
    try {
      return await this.#client.query(toQuery(statement, parameters));
    } finally {
      if (--this.#pending === 0) this.#idle?.();
    }
  }
}

/** Single statements of many callers over one connection, each sent at once and answered in order. */
class PipelinedLine {
  readonly #pool: pg.Pool;
  #client: Promise<pg.PoolClient> | undefined;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async run(statement: Statement, parameters: readonly unknown[]): Promise<pg.QueryResult> {
    const client = await this.#connected();
    return await client.query(toQuery(statement, parameters));
  }

  #connected(): Promise<pg.PoolClient> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      const client = await this.#pool.connect();
      client.once("error", () => this.#forget(client));
      client.once("end", () => this.#forget(client));
      return client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  #forget(client: pg.PoolClient): void {
    if (this.#client === undefined) return;
    this.#client = undefined;
    client.release(true);
  }
}

function toQuery(statement: Statement, parameters: readonly unknown[]): pg.QueryConfig {
  return { name: statement.name, text: statement.text, values: parameters.map((value, index) => encode(statement.takes[index], value)) };
}

function encode(column: Column<unknown> | undefined, value: unknown): unknown {
  return column?.encode ? column.encode(value as never) : value;
}

function addressOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || "5432"}${pathname}`;
}
