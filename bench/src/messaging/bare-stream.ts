/** The raw logical stream into this process: what a reader of the write-ahead log can at best receive. */

import pg from "pg";

/** What is told of one row that was inserted, inside a message of the stream, inside a message of the connection. */
const [copyData, fault, xLogData, keepAlive, insert, standbyStatus] = ["d", "E", "w", "k", "I", "r"].map((letter) =>
  letter.charCodeAt(0),
);
const frameHeaderBytes = 5;
const xLogDataHeaderBytes = 25;

/** A slot that was made before what is to be streamed; it never moves, so all of it can be streamed again. */
export interface BareSlot {
  readonly url: string;
  readonly slot: string;
  readonly publication: string;
  /** Where it begins. */
  readonly from: string;
}

export async function makeBareSlot(url: string, slot: string, publication: string): Promise<BareSlot> {
  const client = await connect(url);
  try {
    const { rows } = await client.query(`CREATE_REPLICATION_SLOT ${slot} LOGICAL pgoutput (SNAPSHOT 'nothing')`);
    return { url, slot, publication, from: rows[0].consistent_point };
  } finally {
    await client.end();
  }
}

/**
 * Rows in a second, from the first to the last of `rows`. They are only counted: the driver logs in, and what comes on its
 * socket after that is stepped through frame by frame.
 */
export async function countBareRows({ url, slot, publication, from }: BareSlot, rows: number): Promise<number> {
  const client = await connect(url);
  const { connection } = client;
  const { stream } = connection;
  try {
    return await new Promise<number>((resolve, reject) => {
      const answer = (status: Buffer): void => void stream.write(status);
      const counter = new RowCounter(rows, { done: resolve, failed: reject, answer });
      stream.once("close", () => reject(new Error("The server ended the stream.")));
      // Before anything is asked: the driver may have taken in the beginning of a frame otherwise.
      stream.removeAllListeners("data");
      stream.on("data", (chunk: Buffer) => counter.receive(chunk));
      connection.query(
        `START_REPLICATION SLOT ${slot} LOGICAL ${from} (proto_version '1', publication_names '${publication}')`,
      );
    });
  } finally {
    stream.destroy();
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    ...{ connectionString: url, application_name: "onsale bench bare" },
    // Not among the driver's declared options, but passed on by it.
    ...{ replication: "database" },
  });
  // After the end of a measurement the connection is cut.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

interface RowCounterReactions {
  readonly done: (perSecond: number) => void;
  readonly failed: (error: Error) => void;
  readonly answer: (status: Buffer) => void;
}

class RowCounter {
  readonly #wanted: number;
  readonly #told: RowCounterReactions;
  #rows = 0;
  #startedAt = 0;
  /** The beginning of a frame whose end has not come yet. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(wanted: number, told: RowCounterReactions) {
    this.#wanted = wanted;
    this.#told = told;
  }

  receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + frameHeaderBytes <= bytes.length) {
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      if (bytes[at] === copyData) this.#receiveMessage(bytes, at + frameHeaderBytes);
      else if (bytes[at] === fault) this.#told.failed(new Error(bytes.toString("latin1", at + frameHeaderBytes, end)));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #receiveMessage(bytes: Buffer, at: number): void {
    if (bytes[at] === xLogData && bytes[at + xLogDataHeaderBytes] === insert) this.#countRow();
    else if (bytes[at] === keepAlive && bytes[at + 17] === 1) this.#told.answer(unmoved);
  }

  #countRow(): void {
    if (this.#rows === 0) this.#startedAt = performance.now();
    this.#rows++;
    if (this.#rows === this.#wanted) this.#told.done((this.#wanted * 1_000) / (performance.now() - this.#startedAt));
  }
}

/** A status that confirms nothing, as a frame of the connection. */
const unmoved = Buffer.alloc(frameHeaderBytes + 34);
unmoved[0] = copyData ?? 0;
unmoved.writeUInt32BE(unmoved.length - 1, 1);
unmoved[frameHeaderBytes] = standbyStatus ?? 0;
