/**
 * Decodes what PostgreSQL's plugin `pgoutput` says of an outbox, protocol version 1 in text mode
 * (https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html). Rows are passed on as they are: not
 * everybody has to read them.
 */

import { at, findValues, type Layout, layoutOf, Places, writtenColumns } from "../outbox/written-row.ts";
import type { Lsn } from "./lsn.ts";

/** What a stream of messages means. Rows come between `begin` and `commit`, all of one transaction. */
export interface LogicalEvents {
  /** A transaction that has committed begins; `at` is where its commit lies in the log. */
  begin(at: Lsn): void;
  /** A row of the outbox that is wanted: its tuple lies in `bytes`, which are not to be kept, from `start` to `end`. */
  row(bytes: Buffer, start: number, end: number, layout: Layout): void;
  /** All of the transaction has been told; `end` is the place right behind its commit. */
  commit(end: Lsn): void;
}

/** Which rows are wanted, told by two columns that are looked at only where it is asked for. */
export interface Wanted {
  readonly type?: (type: string) => boolean;
  readonly key?: (key: string) => boolean;
}

const [begin, commit, relation, insert] = ["B", "C", "R", "I"].map((letter) => letter.charCodeAt(0));
/** Of no meaning for an outbox: origins of other servers, names of types, and truncation of what all readers have passed. */
const meaningless = new Set(["O", "Y", "T", "M"].map((letter) => letter.charCodeAt(0)));

export class PgOutputDecoder {
  readonly #events: LogicalEvents;
  readonly #wanted: Wanted;
  readonly #layouts = new Map<number, Layout>();
  /** Of the row at hand. */
  readonly #places = new Places();

  constructor(events: LogicalEvents, wanted: Wanted) {
    this.#events = events;
    this.#wanted = wanted;
  }

  /** Takes the message that lies in `message` from `offset` to `end`. */
  receive(message: Buffer, offset: number, end: number): void {
    const kind = message[offset];
    if (kind === insert) this.#receiveInsert(message, offset + 1, end);
    else if (kind === begin) this.#events.begin(message.readBigUInt64BE(offset + 1));
    // A commit message holds flags, the commit's place, and the place behind it.
    else if (kind === commit) this.#events.commit(message.readBigUInt64BE(offset + 10));
    else if (kind === relation) this.#receiveRelation(message, offset + 1);
    else if (kind === undefined || !meaningless.has(kind))
      throw new Error(
        `pgoutput said ${JSON.stringify(String.fromCharCode(kind ?? 0))}, which no outbox gives cause for.`,
      );
  }

  #receiveRelation(message: Buffer, offset: number): void {
    const id = message.readUInt32BE(offset);
    const schemaEnd = message.indexOf(0, offset + 4);
    const nameEnd = message.indexOf(0, schemaEnd + 1);
    const names = columnNames(message, nameEnd + 2);
    const missing = writtenColumns.filter((column) => !names.includes(column));
    if (missing.length > 0)
      throw new Error(`${message.toString("utf8", schemaEnd + 1, nameEnd)} is no outbox: it has no ${missing.join()}.`);
    this.#layouts.set(id, layoutOf(names, { isTagged: true }));
  }

  #receiveInsert(message: Buffer, offset: number, end: number): void {
    const layout = this.#layouts.get(message.readUInt32BE(offset));
    if (!layout) throw new Error("pgoutput gave a row of a relation that it has not described.");
    // Behind the relation's number: N for a new tuple.
    const start = offset + 5;
    if (this.#isWanted(message, start, layout)) this.#events.row(message, start, end, layout);
  }

  #isWanted(message: Buffer, start: number, layout: Layout): boolean {
    const { type, key } = this.#wanted;
    if (!type && !key) return true;
    const { starts, ends } = this.#places;
    findValues(message, start, layout, this.#places);
    if (type && !type(message.toString("utf8", starts[at.type], ends[at.type]))) return false;
    return !key || key(message.toString("utf8", starts[at.key], ends[at.key]));
  }
}

function columnNames(message: Buffer, offset: number): string[] {
  const count = message.readUInt16BE(offset);
  const names: string[] = [];
  let at = offset + 2;
  for (let column = 0; column < count; column++) {
    const end = message.indexOf(0, at + 1);
    names.push(message.toString("utf8", at + 1, end));
    // Behind the name: the type's id and its modifier.
    at = end + 9;
  }
  return names;
}
