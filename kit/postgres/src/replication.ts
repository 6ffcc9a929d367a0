/** A connection that speaks PostgreSQL's streaming replication protocol, over the driver's own reading and log-in. */

import pg from "pg";
import { readFrames } from "./server-frames.ts";

/** Of one database, as the user of its URL: a role that may use one schema only has no right to replicate. */
export interface Replication {
  /** Runs one command of the protocol, or one statement without parameters; every value comes as text. */
  run(command: string): Promise<Record<string, string | null>[]>;
  /**
   * Sends `START_REPLICATION ...` and resolves when the server has begun. `receive` is given each message as it comes: it
   * lies in `bytes` from `start` to `end`. Whoever keeps it keeps what came with it, so it is better copied.
   */
  stream(command: string, receive: ReceiveMessage): Promise<void>;
  /** Sends a message to the server while it streams. */
  send(message: Buffer): void;
  /** Reads nothing more from the socket, so that the server has to wait, until `resume`. What is sent still goes out. */
  pause(): void;
  resume(): void;
  /** Resolves with the cause when the connection has ended. */
  readonly ended: Promise<Error>;
  close(): void;
}

export type ReceiveMessage = (bytes: Buffer, start: number, end: number) => void;

// A server that answers no connection within this time is as good as down.
const connectMs = 2_000;

const copyData = "d".charCodeAt(0);

export async function openReplication(config: {
  readonly url: string;
  readonly applicationName: string;
  /** Settings of the session, `name=value`. */
  readonly settings: readonly string[];
}): Promise<Replication> {
  const client = new pg.Client({
    connectionString: config.url,
    application_name: config.applicationName,
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    types: asText,
    options: config.settings.map((setting) => `-c ${setting}`).join(" "),
    // Not among the driver's declared options, but passed on by it.
    ...{ replication: "database" },
  });
  const connection = client.connection as ReplicationConnection;
  const { promise: ended, resolve: end } = Promise.withResolvers<Error>();
  client.on("error", end);
  client.once("end", () => end(new Error("The replication connection was closed.")));
  await client.connect();
  return {
    ended,
    run: async (command) => (await client.query(command)).rows,
    stream(command, receive) {
      readFrames(connection, { wants: (kind) => kind === copyData, take: receive });
      return new Promise((started, failed) => {
        connection.once("replicationStart", started);
        client.query(command).then(
          () => end(new Error("The server ended the stream.")),
          (error) => {
            end(error);
            failed(error);
          },
        );
      });
    },
    send: (message) => connection.sendCopyFromChunk(message),
    pause: () => void connection.stream.pause(),
    resume: () => void connection.stream.resume(),
    close: () => void connection.stream.destroy(),
  };
}

/** What the driver's connection has beyond its declared type. */
interface ReplicationConnection extends pg.Connection {
  sendCopyFromChunk(chunk: Buffer): void;
}

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig;
