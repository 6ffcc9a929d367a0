import type { Signal } from "../signal.ts";
import type { Position } from "./positions.ts";
import type { FetchedRecord, ReceivedBatch } from "./received-batch.ts";

/** Enough for the next batch while one is being applied; more would only be fetched again after a take-over. */
const fullAtBytes = 1024 * 1024;
const fullAtRecords = 4_000;

/** What was fetched of one partition and not yet taken. */
export class FetchedPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly #arrived: Signal;
  readonly #drained: () => void;
  /** Each with something left. */
  readonly #batches: ReceivedBatch[] = [];
  /** The last record, most of whose headers the next one has in common. */
  #before: FetchedRecord | undefined;
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
    let [bytes, records] = [0, 0];
    for (const batch of this.#batches) {
      bytes += batch.bytesLeft;
      records += batch.left;
    }
    return bytes >= fullAtBytes || records >= fullAtRecords;
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0 && this.#fault === undefined;
  }

  /** Everything that the broker had has been taken, as far as is known: before the first answer nothing is. */
  get isDrained(): boolean {
    return this.#wasFetched && this.isEmpty;
  }

  /** What whoever takes the records has to remember. It goes back when the broker lost what was taken. */
  get takenTo(): Position {
    return this.#batches.length === 0 ? this.#position : this.#takenTo;
  }

  /** The next at most `limit` records. Throws when reading on is no use. */
  take(limit: number): readonly FetchedRecord[] {
    if (this.#fault) throw this.#fault;
    const wasFull = this.isFull;
    const taken: FetchedRecord[] = [];
    for (let [batch] = this.#batches; batch && taken.length < limit; [batch] = this.#batches) {
      const record = batch.next(this.#before);
      if (batch.left === 0) this.#batches.shift();
      this.#before = record;
      // A broker gives whole batches, also when the place that was asked for lies inside one.
      if (record.offset < this.#takenTo.offset) continue;
      taken.push(record);
    }
    const last = taken.at(-1);
    if (last) this.#takenTo = { offset: last.offset + 1, epoch: last.epoch };
    if (wasFull && !this.isFull) this.#drained();
    return taken;
  }

  /** Takes in what a fetch from `position` gave: all of it is passed, and what is `committed` can be taken. */
  add(batches: readonly ReceivedBatch[], committed: ReadonlySet<ReceivedBatch>): void {
    for (const batch of batches) this.#addBatch(batch, committed.has(batch));
    if (batches.length > 0 || !this.#wasFetched) this.#arrived.notify();
    this.#wasFetched = true;
  }

  /** The broker's records end at `end`, before what was fetched: what was not taken is fetched again. Gives the new place. */
  setBack(end: Position): Position {
    const takenTo = this.takenTo;
    this.#position = takenTo.offset <= end.offset ? takenTo : end;
    this.#takenTo = this.#position;
    this.#batches.length = 0;
    this.#arrived.notify();
    return this.#position;
  }

  fail(fault: Error): void {
    this.#fault = fault;
    this.#arrived.notify();
  }

  #addBatch(batch: ReceivedBatch, isCommitted: boolean): void {
    const { endOffset, epoch } = batch;
    if (endOffset <= this.#position.offset) return;
    if (this.#batches.length === 0) this.#takenTo = this.#position;
    if (isCommitted && batch.left > 0) this.#batches.push(batch);
    this.#position = { offset: endOffset, epoch };
  }
}
