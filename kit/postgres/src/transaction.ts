import type pg from "pg";
import type { Home, Transaction, TransactionOptions } from "./database.ts";
import {
  CommitUnknownError,
  isStalePlan,
  SwallowedFailureError,
  saysNothingAboutCommit,
  sqlState,
  TransactionEndedError,
} from "./errors.ts";
import { send, toQuery } from "./query.ts";
import type { Statement } from "./sql.ts";

/** Looks at a result on its way to the caller. */
export type CheckResult = (statement: Statement, result: pg.QueryResult) => pg.QueryResult;

export interface TransactionSetting {
  readonly home: Home;
  readonly isolation: NonNullable<TransactionOptions["isolation"]>;
  readonly checked: CheckResult;
}

/** Runs `work` in one transaction on a connection of the pool, and commits it. */
export async function runOnce<Result>(
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
    this.#begun = send(client, `begin isolation level ${isolation} read write`);
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
      return await send(this.#client, query);
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
