import pg from "pg";
import { isStalePlan } from "./errors.ts";
import { type Answer, Exchange, fromHere } from "./exchange.ts";
import { encodeParameters } from "./query.ts";
import { tapRows } from "./rows-as-bytes.ts";
import type { Statement } from "./sql.ts";

/** Single statements of many callers over one connection, each sent at once and answered in order. */
export class PipelinedLine {
  readonly #config: pg.ClientConfig;
  readonly #keep: (client: pg.Client) => void;
  #connection: Promise<pg.Client> | undefined;
  #closed = false;

  constructor(config: pg.ClientConfig, keep: (client: pg.Client) => void) {
    this.#config = config;
    this.#keep = keep;
  }

  async run(statement: Statement, parameters: readonly unknown[]): Promise<Answer> {
    const values = encodeParameters(statement, parameters);
    const connection = this.#connected();
    const client = await connection;
    try {
      return await send(client, statement, values);
    } catch (error) {
      // Not sent again, though it did nothing: callers may count on the order in which they sent. The next statement
      // gets a new connection; the old one ends when it has answered all.
      if (isStalePlan(error)) {
        this.#forget(connection);
        void client.end();
      }
      throw fromHere(error);
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
    const connection = client.connect().then(() => {
      tapRows(client.connection);
      return client;
    });
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

/** An exchange of its own, which makes it a transaction of its own; what one turn of the event loop sends leaves as one packet. */
function send(client: pg.Client, statement: Statement, values: readonly unknown[]): Promise<Answer> {
  const { stream } = client.connection;
  if (stream.writableCorked === 0) {
    stream.cork();
    process.nextTick(() => stream.uncork());
  }
  const exchange = new Exchange();
  const answer = exchange.add(statement, values);
  client.query(exchange);
  return answer;
}
