/**
 * Decodes what PostgreSQL's plugin `pgoutput` says of an outbox, protocol version 1 in text mode
 * (https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html). Only what is listened to is turned into
 * strings; everything else is stepped over.
 */

import type { OutboxRow } from "../outbox-row.ts";
import type { Headers } from "../publish.ts";
import type { Lsn } from "./lsn.ts";

/** What a stream of messages means. Rows come between `begin` and `commit`, all of one transaction. */
export interface LogicalEvents {
  /** A transaction that has committed begins; `at` is where its commit lies in the log. */
  begin(at: Lsn): void;
  /** A row of the outbox that is listened to; `bytes` is its size in the stream. */
  row(row: OutboxRow, bytes: number): void;
  /** All of the transaction has been told; `end` is the place right behind its commit. */
  commit(end: Lsn): void;
}

/** Which rows are wanted, told by two columns that are looked at before the others are decoded. */
export interface Wanted {
  type(type: string): boolean;
  key(key: string): boolean;
}

/** Where the columns that make an event stand in the relation's rows. */
type Layout = Readonly<Record<Column, number>>;
const columns = ["id", "aggregateid", "type", "payload", "sequence", "headers", "incarnation", "created_at"] as const;
type Column = (typeof columns)[number];

const [begin, commit, relation, insert] = ["B", "C", "R", "I"].map((letter) => letter.charCodeAt(0));
/** Of no meaning for an outbox: origins of other servers, names of types, and truncation of what all readers have passed. */
const meaningless = new Set(["O", "Y", "T", "M"].map((letter) => letter.charCodeAt(0)));
const textValue = "t".charCodeAt(0);

export class PgOutputDecoder {
  readonly #events: LogicalEvents;
  readonly #wanted: Wanted;
  readonly #layouts = new Map<number, Layout>();
  /** Where the values of the row at hand begin and end, by column: kept, so that a row costs no allocation of its own. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor(events: LogicalEvents, wanted: Wanted) {
    this.#events = events;
    this.#wanted = wanted;
  }

  /** Takes the message that begins at `offset` and ends with the buffer. */
  receive(message: Buffer, offset: number): void {
    const kind = message[offset];
    if (kind === insert) this.#receiveInsert(message, offset + 1);
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
    const found = columns.map((column) => [column, names.indexOf(column)] as const);
    const missing = found.filter(([, at]) => at < 0).map(([column]) => column);
    if (missing.length > 0)
      throw new Error(`${message.toString("utf8", schemaEnd + 1, nameEnd)} is no outbox: it has no ${missing.join()}.`);
    this.#layouts.set(id, Object.fromEntries(found) as Layout);
  }

  #receiveInsert(message: Buffer, offset: number): void {
    const layout = this.#layouts.get(message.readUInt32BE(offset));
    if (!layout) throw new Error("pgoutput gave a row of a relation that it has not described.");
    this.#findValues(message, offset + 5);
    const type = this.#textAt(message, layout.type);
    if (!this.#wanted.type(type)) return;
    const key = this.#textAt(message, layout.aggregateid);
    if (!this.#wanted.key(key)) return;
    const row = {
      id: this.#plainAt(message, layout.id),
      type,
      key,
      payload: JSON.parse(this.#textAt(message, layout.payload)) as unknown,
      sequence: Number(this.#plainAt(message, layout.sequence)),
      headers: JSON.parse(this.#textAt(message, layout.headers)) as Headers,
      incarnation: this.#plainAt(message, layout.incarnation),
      createdAt: toInstant(this.#plainAt(message, layout.created_at)),
    };
    this.#events.row(row, message.length);
  }

  #findValues(message: Buffer, offset: number): void {
    const count = message.readUInt16BE(offset);
    let at = offset + 2;
    for (let column = 0; column < count; column++) {
      if (message[at] === textValue) {
        const start = at + 5;
        at = start + message.readUInt32BE(at + 1);
        this.#starts[column] = start;
      } else {
        // Null: the columns of an event have none, and the others are not looked at.
        at += 1;
        this.#starts[column] = at;
      }
      this.#ends[column] = at;
    }
  }

  #textAt(message: Buffer, column: number): string {
    return message.toString("utf8", this.#starts[column], this.#ends[column]);
  }

  /** The same for what is ASCII for certain, which is quicker. */
  #plainAt(message: Buffer, column: number): string {
    return message.toString("latin1", this.#starts[column], this.#ends[column]);
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

/** `2026-11-21 08:42:14.123456+00` as RFC 3339 with milliseconds, finer digits cut off. The session's zone is UTC. */
export function toInstant(text: string): string {
  const fraction = text[19] === "." ? text.slice(20, text.length - 3) : "";
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
}
