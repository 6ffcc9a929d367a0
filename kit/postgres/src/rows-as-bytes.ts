/** Rows that pass from the server to whoever asked for them without being read. */

import type pg from "pg";
import { readFrames } from "./server-frames.ts";
import type { Statement } from "./sql.ts";

/**
 * A row as the server wrote it: a number of columns (2 bytes), and for each of them, in the order of the statement's
 * `gives`, the length of its text (4 bytes, -1 for null) and the text. It lies in `bytes` from `start` to `end`, in memory
 * that nobody changes any more; whoever keeps a row keeps up to 64 KiB with it.
 */
export interface RowBytes {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The same statement, whose rows are given as bytes. Only outside of transactions. */
export const asBytes = <Parameters extends readonly unknown[]>(
  statement: Statement<Parameters>,
): Statement<Parameters, RowBytes> => ({ ...(statement as Statement<Parameters, RowBytes>), rowsAre: "bytes" });

/** Someone whose rows are on their way. */
export interface RowTaker {
  /** Whether all of them are wanted as bytes. */
  readonly wantsBytes: boolean;
  takeRow(row: RowBytes): void;
}

const [dataRow, readyForQuery] = ["D", "Z"].map((letter) => letter.charCodeAt(0));

const taps = new WeakMap<pg.Connection, RowTap>();

/** On a connection over which nothing has been asked yet. */
export function tapRows(connection: pg.Connection): void {
  const tap = new RowTap();
  taps.set(connection, tap);
  readFrames(connection, tap);
}

/** To be told of everything that is asked over a connection, in its order. */
export const tapOf = (connection: pg.Connection): RowTap | undefined => taps.get(connection);

class RowTap {
  /** In the order in which the server answers. */
  readonly #asked: RowTaker[] = [];

  asks(taker: RowTaker): void {
    this.#asked.push(taker);
  }

  wants(kind: number): boolean {
    // The server is ready once behind everything that it was asked, also behind what failed.
    if (kind === readyForQuery) this.#asked.shift();
    return kind === dataRow && this.#asked[0]?.wantsBytes === true;
  }

  take(bytes: Buffer, start: number, end: number): void {
    this.#asked[0]?.takeRow({ bytes, start, end });
  }
}
