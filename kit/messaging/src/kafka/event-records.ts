/**
 * Events as records of one lane's topic. What still is the row that the server wrote into its log is copied piece by piece
 * into the batch: to make an event of it, with all its texts and objects, takes several times as long.
 */

import { attributeHeaders, sharedHeaders, toKafkaRecord } from "../events/cloud-event.ts";
import type { Lane } from "../events/event.ts";
import type { ReadEvent } from "../log.ts";
import { at, Places, type WrittenRow } from "../outbox/written-row.ts";
import { slotOf } from "../slot.ts";
import { hopHeader, hopText } from "./hop-header.ts";
import { headerBytes, type KafkaRecordParts, type RecordBatch } from "./record-batch.ts";
import { CausePlaces, causeNames, isSame } from "./written-cause.ts";

/** What stands before the content of a header that differs from event to event. */
const before = {
  incarnation: headerBytes(attributeHeaders.incarnation),
  id: headerBytes(attributeHeaders.id),
  time: headerBytes(attributeHeaders.time),
  key: headerBytes(attributeHeaders.key),
  partitionkey: headerBytes(attributeHeaders.partitionkey),
  sequence: headerBytes(attributeHeaders.sequence),
  cause: causeNames.map((name) => headerBytes(attributeHeaders[name])),
} as const;
/** All of `before` save the cause, and the hops. */
const headersOfEach = 7;
/** Names of headers, and the numbers before names and contents. */
const mostBytesBeside = 512;

/** `2026-11-21T08:42:14.123Z`, and where the places of its milliseconds begin. */
const timeBytes = 24;
const millisecondsAt = 20;
const [zero, dot, letterT, letterZ] = ["0", ".", "T", "Z"].map((sign) => sign.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
];

/** The headers that all events of a type share. */
interface Shared {
  readonly type: Buffer;
  readonly headers: Buffer;
  readonly count: number;
}

export class EventRecords {
  readonly #stream: { readonly source: string; readonly lane: Lane };
  readonly #shared = new Map<string, Shared>();
  #lastShared: Shared | undefined;
  readonly #hop = { visible: undefined as number | undefined, relayedAt: 0, header: Buffer.alloc(0) };
  readonly #places = new Places();
  readonly #cause = new CausePlaces();
  readonly #time = Buffer.alloc(timeBytes);
  /** The event at hand: as its row, or else as the parts of a record. */
  #row: WrittenRow | undefined;
  #parts: KafkaRecordParts | undefined;

  constructor(stream: { readonly source: string; readonly lane: Lane }) {
    this.#stream = stream;
  }

  /** Takes the event that the other methods speak of until the next call. `relayedAt`: milliseconds since 1970. */
  take(read: ReadEvent, relayedAt: number): void {
    const visible = read.moments?.visible;
    this.#row = read.written;
    this.#parts = undefined;
    if (this.#row && this.#findsAll(this.#row)) {
      this.#makeHop(visible, relayedAt);
      return;
    }
    // Data stay as they were written, whoever has to read the rest.
    const record = toKafkaRecord(read.event, this.#row && this.#payloadOf(this.#row));
    record.headers.set(hopHeader, hopText(visible, relayedAt));
    this.#parts = record;
  }

  /** The one of so many partitions that the event's key belongs to. Our own rule: every client of Kafka's has another. */
  partition(partitions: number): number {
    if (this.#parts?.key !== undefined) return slotOf(this.#parts.key, partitions);
    const { starts, ends } = this.#places;
    return slotOf(this.#row?.bytes.subarray(starts[at.key], ends[at.key]) ?? "", partitions);
  }

  appendTo(batch: RecordBatch): void {
    if (this.#parts) batch.append(this.#parts);
    else if (this.#row) this.#appendRow(batch, this.#row);
  }

  #appendRow(batch: RecordBatch, row: WrittenRow): void {
    const { bytes } = row;
    const { starts, ends } = this.#places;
    const shared = this.#sharedOf(bytes);
    const keyBytes = (ends[at.key] ?? 0) - (starts[at.key] ?? 0);
    const start = batch.begin(
      row.size + 3 * keyBytes + shared.headers.length + this.#hop.header.length + mostBytesBeside,
    );
    this.#putColumn(batch, bytes, at.key);
    this.#putColumn(batch, bytes, at.payload);
    batch.putNumber(shared.count + headersOfEach + this.#cause.count);
    batch.put(shared.headers);
    batch.put(before.incarnation);
    this.#putColumn(batch, bytes, at.incarnation);
    batch.put(before.id);
    this.#putColumn(batch, bytes, at.id);
    batch.put(before.time);
    batch.putSized(this.#timeOf(bytes), 0, timeBytes);
    batch.put(before.key);
    this.#putColumn(batch, bytes, at.key);
    batch.put(before.partitionkey);
    this.#putColumn(batch, bytes, at.key);
    batch.put(before.sequence);
    this.#putColumn(batch, bytes, at.sequence);
    this.#putCause(batch, bytes);
    batch.put(this.#hop.header);
    batch.end(start);
  }

  #putColumn(batch: RecordBatch, bytes: Buffer, column: number): void {
    batch.putSized(bytes, this.#places.starts[column] ?? 0, this.#places.ends[column] ?? 0);
  }

  #putCause(batch: RecordBatch, bytes: Buffer): void {
    const { starts, ends } = this.#cause;
    for (let index = 0; index < before.cause.length; index++) {
      const [name, start = -1, end = -1] = [before.cause[index], starts[index], ends[index]];
      if (!name || start < 0) continue;
      batch.put(name);
      batch.putSized(bytes, start, end);
    }
  }

  /** False when the row has to be read by whoever knows all of JSON. */
  #findsAll(row: WrittenRow): boolean {
    row.find(this.#places);
    const { starts, ends } = this.#places;
    return this.#cause.find(row.bytes, starts[at.headers] ?? 0, ends[at.headers] ?? 0);
  }

  #payloadOf({ bytes }: WrittenRow): string {
    return bytes.toString("utf8", this.#places.starts[at.payload], this.#places.ends[at.payload]);
  }

  /** Most events come behind one of the same type. */
  #sharedOf(bytes: Buffer): Shared {
    const [from = 0, to = 0] = [this.#places.starts[at.type], this.#places.ends[at.type]];
    if (!this.#lastShared || !isSame(bytes, { from, to }, this.#lastShared.type)) {
      const type = bytes.toString("utf8", from, to);
      this.#lastShared = this.#shared.get(type) ?? this.#share(type);
    }
    return this.#lastShared;
  }

  #share(type: string): Shared {
    const headers = Object.entries(sharedHeaders({ ...this.#stream, type }));
    const shared = {
      type: Buffer.from(type),
      headers: Buffer.concat(headers.map(([name, content]) => headerBytes(name, content))),
      count: headers.length,
    };
    this.#shared.set(type, shared);
    return shared;
  }

  /** The same for all events of a chunk. */
  #makeHop(visible: number | undefined, relayedAt: number): void {
    const hop = this.#hop;
    if (hop.visible === visible && hop.relayedAt === relayedAt) return;
    Object.assign(hop, { visible, relayedAt, header: headerBytes(hopHeader, hopText(visible, relayedAt)) });
  }

  /** What `toInstant` makes of the server's `2026-11-21 08:42:14.123456+00`, where it has as many digits as it needs. */
  #timeOf(bytes: Buffer): Buffer {
    const time = this.#time;
    const [from = 0, to = 0] = [this.#places.starts[at.createdAt], this.#places.ends[at.createdAt]];
    bytes.copy(time, 0, from, from + millisecondsAt - 1);
    time[10] = letterT;
    time[millisecondsAt - 1] = dot;
    const zoneAt = to - 3;
    for (let digit = millisecondsAt; digit < timeBytes - 1; digit++)
      time[digit] = from + digit < zoneAt ? (bytes[from + digit] ?? zero) : zero;
    time[timeBytes - 1] = letterZ;
    return time;
  }
}
