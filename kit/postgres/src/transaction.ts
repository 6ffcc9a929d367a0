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
import { type Answer, Exchange, fromHere } from "./exchange.ts";
import { encodeParameters } from "./query.ts";
import type { Statement } from "./sql.ts";

/** Looks at an answer on its way to the caller. */
export type CheckAnswer = (statement: Statement, answer: Answer) => Answer;

export interface TransactionSetting {
  readonly home: Home;
  readonly isolation: NonNullable<TransactionOptions["isolation"]>;
  readonly checked: CheckAnswer;
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
    // What is still to leave must not follow the rollback.
    tx.flush();
    await rollBack(client, error);
    throw error;
  }
  tx.end();
  await commit(client, tx);
  tx.committed();
  return result;
}

const commitStatement = { name: "commit", text: "commit" };

async function commit(client: pg.PoolClient, tx: OpenTransaction): Promise<void> {
  let command: string;
  try {
    const exchange = new Exchange();
    const answer = exchange.add(commitStatement, []);
    client.query(exchange);
    ({ command } = await answer);
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

const begin = (isolation: TransactionSetting["isolation"]) => ({
  name: `begin ${isolation}`,
  text: `begin isolation level ${isolation} read write`,
});

class OpenTransaction implements Transaction {
  readonly home: Home;
  /** The first failure of a statement, whether or not anybody looked at it. */
  failure: unknown;
  readonly #client: pg.PoolClient;
  readonly #checked: CheckAnswer;
  readonly #afterCommit: (() => void)[] = [];
  readonly #begun: Promise<unknown>;
  /** What leaves at the end of this turn of the event loop. */
  #leaving: Exchange | undefined;
  #open = true;
  #pending = 0;
  #idle: (() => void) | undefined;

  constructor(client: pg.PoolClient, { home, isolation, checked }: TransactionSetting) {
    this.#client = client;
    this.#checked = checked;
    this.home = home;
    // Not awaited: the first statement follows in the same packet.
    this.#begun = this.#send(begin(isolation), []);
    this.#begun.catch((error) => {
      this.failure ??= error;
    });
  }

  query<Parameters extends readonly unknown[], Row>(
    statement: Statement<Parameters, Row>,
    parameters: Parameters,
  ): Promise<Row[]> {
    return observed(this.#run(statement, parameters).then((answer) => this.#checked(statement, answer).rows as Row[]));
  }

  execute<Parameters extends readonly unknown[], Row>(
    statement: Statement<Parameters, Row>,
    parameters: Parameters,
  ): Promise<number> {
    return observed(this.#run(statement, parameters).then(({ rowCount }) => rowCount));
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

  #send(statement: Pick<Statement, "name" | "text">, values: readonly unknown[]): Promise<Answer> {
    if (!this.#leaving) {
      this.#leaving = new Exchange();
      process.nextTick(() => this.flush());
    }
    return this.#leaving.add(statement, values);
  }

  /** Sends what is to leave. */
  flush(): void {
    const exchange = this.#leaving;
    this.#leaving = undefined;
    if (exchange) this.#client.query(exchange);
  }

  async #run(statement: Statement, parameters: readonly unknown[]): Promise<Answer> {
    if (!this.#open) throw new TransactionEndedError();
    const values = encodeParameters(statement, parameters);
    this.#pending++;
    try {
      return await this.#send(statement, values);
    } catch (error) {
      this.failure ??= error;
      // Of statements under way, those behind the one that failed say only that the transaction is aborted, and theirs
      // may be the first answer that the caller looks at. Whether to try again depends on the failure itself.
      throw followUpStates.has(sqlState(error) ?? "") ? this.failure : fromHere(error);
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
