/** A row of an outbox as the server wrote it into its log: whoever passes it on as bytes never has to read it. */

import type { OutboxRow } from "./outbox-row.ts";
import type { Headers } from "./publish.ts";

/** The columns that make an event, by the numbers that `Places` knows them under. */
export const writtenColumns = [
  "id",
  "aggregateid",
  "type",
  "payload",
  "sequence",
  "headers",
  "incarnation",
  "created_at",
] as const;
export const at = {
  id: 0,
  key: 1,
  type: 2,
  payload: 3,
  sequence: 4,
  headers: 5,
  incarnation: 6,
  createdAt: 7,
} as const;

/** Where the texts of a row begin and end, by the number of their column. Kept by its user, for one row after the other. */
export class Places {
  readonly starts = new Int32Array(writtenColumns.length);
  readonly ends = new Int32Array(writtenColumns.length);
}

/** For each column of a relation, as it stands there, its number among ours; -1 for those that make no event. */
export type Layout = Int8Array;

const textValue = "t".charCodeAt(0);

/** A tuple of pgoutput's in text mode, somewhere in memory that does not change any more. */
export class WrittenRow {
  readonly bytes: Buffer;
  /** Of the tuple. */
  readonly size: number;
  readonly #start: number;
  readonly #layout: Layout;

  constructor(bytes: Buffer, place: { readonly start: number; readonly size: number }, layout: Layout) {
    this.bytes = bytes;
    this.size = place.size;
    this.#start = place.start;
    this.#layout = layout;
  }

  find(places: Places): void {
    findValues(this.bytes, this.#start, this.#layout, places);
  }

  read(): OutboxRow {
    this.find(placesAtHand);
    return {
      id: this.#plain(at.id),
      type: this.#text(at.type),
      key: this.#text(at.key),
      payload: JSON.parse(this.#text(at.payload)) as unknown,
      sequence: Number(this.#plain(at.sequence)),
      headers: JSON.parse(this.#text(at.headers)) as Headers,
      incarnation: this.#plain(at.incarnation),
      createdAt: toInstant(this.#plain(at.createdAt)),
    };
  }

  #text(column: number): string {
    return this.bytes.toString("utf8", placesAtHand.starts[column], placesAtHand.ends[column]);
  }

  /** The same for what is ASCII for certain, which is quicker. */
  #plain(column: number): string {
    return this.bytes.toString("latin1", placesAtHand.starts[column], placesAtHand.ends[column]);
  }
}

/** One row is read at a time. */
const placesAtHand = new Places();

/** Finds the columns of the tuple that begins at `start`. Null, which no column of an event is, is a text of no bytes. */
export function findValues(bytes: Buffer, start: number, layout: Layout, { starts, ends }: Places): void {
  const count = bytes.readUInt16BE(start);
  let next = start + 2;
  for (let column = 0; column < count; column++) {
    let from = next + 1;
    next = from;
    if (bytes[from - 1] === textValue) {
      from += 4;
      next = from + bytes.readUInt32BE(from - 4);
    }
    const own = layout[column] ?? -1;
    if (own < 0) continue;
    starts[own] = from;
    ends[own] = next;
  }
}

/** `2026-11-21 08:42:14.123456+00` as RFC 3339 with milliseconds, finer digits cut off. The session's zone is UTC. */
export function toInstant(text: string): string {
  const fraction = text[19] === "." ? text.slice(20, text.length - 3) : "";
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
}
