/** A row of an outbox as the server wrote it, be it into its log or into an answer: whoever passes it on as bytes never has to read it. */

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
  "position",
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
  position: 8,
} as const;

/** Where the texts of a row begin and end, by the number of their column. Kept by its user, for one row after the other. */
export class Places {
  readonly starts = new Int32Array(writtenColumns.length);
  readonly ends = new Int32Array(writtenColumns.length);
}

/** How the columns follow one another in a row. */
export interface Layout {
  /** For each column, as it stands there, its number among ours; -1 for those that make no event. */
  readonly columns: Int8Array;
  /** Whether a letter before each value says of what kind it is, as pgoutput has it. Otherwise null has a negative length. */
  readonly isTagged: boolean;
}

export function layoutOf(names: readonly string[], { isTagged }: { isTagged: boolean }): Layout {
  const own: readonly string[] = writtenColumns;
  return { columns: Int8Array.from(names, (name) => own.indexOf(name)), isTagged };
}

const textValue = "t".charCodeAt(0);

/** A row whose values are texts, somewhere in memory that does not change any more. */
export class WrittenRow {
  readonly bytes: Buffer;
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

  /** Where it lies in its outbox. */
  get position(): number {
    this.find(placesAtHand);
    return Number(this.#plain(at.position));
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

/** Finds the columns of the row that begins at `start`. Null, which no column of an event is, is a text of no bytes. */
export function findValues(bytes: Buffer, start: number, layout: Layout, { starts, ends }: Places): void {
  const { columns, isTagged } = layout;
  const count = bytes.readUInt16BE(start);
  let next = start + 2;
  for (let column = 0; column < count; column++) {
    const isText = !isTagged || bytes[next++] === textValue;
    const from = isText ? next + 4 : next;
    if (isText) next = from + Math.max(0, bytes.readInt32BE(next));
    const own = columns[column] ?? -1;
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
