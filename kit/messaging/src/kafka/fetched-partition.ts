import type { KafkaRecord, RecordsBatch } from "@platformatic/kafka";
import type { Signal } from "../signal.ts";
import type { Position } from "./positions.ts";

export interface FetchedRecord {
  readonly record: KafkaRecord;
  readonly offset: number;
  /** The place behind it. */
  readonly after: Position;
  /** When the broker appended it, and when it came here; milliseconds since 1970. */
  readonly appendedAt: number;
  readonly fetchedAt: number;
}

export type RecordHeaders = KafkaRecord["headers"];

/** The text of the header of this name, if there is one. */
export function headerOf(headers: RecordHeaders, name: Buffer): string | undefined {
  // Lengths first: to compare bytes is a call out of the engine, and most records have none of the names that are asked for.
  for (const [found, value] of headers)
    if (found !== null && found.length === name.length && found.equals(name)) return value?.toString();
  return undefined;
}

/** Enough for the next batch while one is being applied; more would only be fetched again after a take-over. */
const fullAtBytes = 1024 * 1024;
const fullAtRecords = 4_000;

/** The attributes' bit of batches that Kafka itself writes. */
const controlBatch = 1 << 5;

/** What was fetched of one partition and not yet taken. */
export class FetchedPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly #arrived: Signal;
  readonly #drained: () => void;
  #records: FetchedRecord[] = [];
  #bytes = 0;
  /** Behind everything that was fetched. */
  #position: Position;
  /** Behind everything that was taken. */
  #takenTo: Position;
  #fault: Error | undefined;
  #wasFetched = false;

  /** `arrived` is notified of whatever changes here; `drained` is called when there is room again. */
  constructor(
    place: { topic: string; topicId: string; partition: number; position: Position },
    { arrived, drained }: { arrived: Signal; drained: () => void },
  ) {
    this.topic = place.topic;
    this.topicId = place.topicId;
    this.partition = place.partition;
    this.#position = place.position;
    this.#takenTo = place.position;
    this.#arrived = arrived;
    this.#drained = drained;
  }

  get position(): Position {
    return this.#position;
  }

  get isFull(): boolean {
    return this.#bytes >= fullAtBytes || this.#records.length >= fullAtRecords;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0 && this.#fault === undefined;
  }

  /** Everything that the broker had has been taken, as far as is known: before the first answer nothing is. */
  get isDrained(): boolean {
    return this.#wasFetched && this.isEmpty;
  }

  /** What whoever takes the records has to remember. It goes back when the broker lost what was taken. */
  get takenTo(): Position {
    return this.#records.length === 0 ? this.#position : this.#takenTo;
  }

  /** The next at most `limit` records. Throws when reading on is no use. */
  take(limit: number): readonly FetchedRecord[] {
    if (this.#fault) throw this.#fault;
    const wasFull = this.isFull;
    const taken = this.#records.splice(0, limit);
    for (const { record } of taken) this.#bytes -= record.length;
    this.#takenTo = taken.at(-1)?.after ?? this.#takenTo;
    if (wasFull && !this.isFull) this.#drained();
    return taken;
  }

  /** Takes in what a fetch from `position` gave. */
  add(batches: readonly RecordsBatch[]): void {
    for (const batch of batches) this.#addBatch(batch);
    if (batches.length > 0 || !this.#wasFetched) this.#arrived.notify();
    this.#wasFetched = true;
  }

  /** The broker's records end at `end`, before what was fetched: what was not taken is fetched again. Gives the new place. */
  setBack(end: Position): Position {
    const takenTo = this.takenTo;
    this.#position = takenTo.offset <= end.offset ? takenTo : end;
    this.#takenTo = this.#position;
    this.#records = [];
    this.#bytes = 0;
    this.#arrived.notify();
    return this.#position;
  }

  fail(fault: Error): void {
    this.#fault = fault;
    this.#arrived.notify();
  }

  #addBatch(batch: RecordsBatch): void {
    const base = Number(batch.firstOffset);
    const epoch = batch.partitionLeaderEpoch;
    const ours = (batch.attributes & controlBatch) === 0;
    const moments = { appendedAt: Number(batch.maxTimestamp), fetchedAt: Date.now() };
    for (const record of batch.records) {
      const offset = base + record.offsetDelta;
      // A broker gives whole batches, also when the place that was asked for lies inside one.
      if (!ours || offset < this.#position.offset) continue;
      this.#records.push({ record, offset, after: { offset: offset + 1, epoch }, ...moments });
      this.#bytes += record.length;
    }
    const end = base + batch.lastOffsetDelta + 1;
    if (end > this.#position.offset) this.#position = { offset: end, epoch };
  }
}
