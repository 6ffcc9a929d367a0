import type { Producer } from "@platformatic/kafka";
import type { Lane } from "../events/event.ts";
import type { ReadEvent } from "../log.ts";
import { BatchProducer } from "./batch-producer.ts";
import { maximumMessageBytes, type Topic } from "./cluster.ts";
import { EventRecords } from "./event-records.ts";
import { type Positions, positionIn, type TopicPositions } from "./positions.ts";
import { RecordBatch } from "./record-batch.ts";
import { watermarkRecord } from "./watermark-record.ts";

/** The broker has acknowledged a record at an offset that it had acknowledged before: what was there is gone. */
export class TailLostError extends Error {
  override readonly name = "TailLostError";
  constructor(topic: string, partition: number, { expected, found }: { expected: number; found: number }) {
    super(`Partition ${partition} of ${topic} ended at ${expected} and now goes on at ${found}.`);
  }
}

/**
 * The broker refuses a batch above its topic's bound, and what it refused it would refuse for ever. Below the bound by more
 * than a watermark takes.
 */
const batchBytes = maximumMessageBytes - 1_024;

/** Batches by their partition. */
type Request = Map<number, RecordBatch>;

/** Requests, of which the first is ready to be sent. */
export interface Prepared {
  readonly first: IteratorResult<Request, void>;
  readonly rest: Iterator<Request, void>;
}

export interface AppenderOptions {
  /** Whose events they are. */
  readonly stream: { readonly source: string; readonly lane: Lane };
  readonly topic: Topic;
  readonly partitions: readonly number[];
  /** How far the partitions were acknowledged. */
  readonly ends: Positions;
}

/** Requests on their way: while one is answered the next is received, and the broker does not wait for us. */
const requestsAtOnce = 2;

/**
 * Appends to the partitions of one relay, one request behind the other: so a key's events lie in their order, whichever request
 * is repeated.
 */
export class Appender {
  readonly #producer: BatchProducer;
  readonly #topic: Topic;
  readonly #partitions: readonly number[];
  readonly #records: EventRecords;
  /** Batches of requests that were acknowledged: their memory is used for the next ones. */
  readonly #spare: RecordBatch[] = [];
  /** Requests that were not acknowledged yet, the oldest first. */
  readonly #underWay: Promise<void>[] = [];
  /** Resolves when everything that was to be appended so far has been sent. */
  #allSent: Promise<void> = Promise.resolve();
  #isAcquainted = false;
  #ends: Positions;

  constructor(client: Producer<string, string, string, string>, { stream, topic, partitions, ends }: AppenderOptions) {
    this.#producer = new BatchProducer(client, topic);
    this.#records = new EventRecords(stream);
    this.#topic = topic;
    this.#partitions = partitions;
    this.#ends = ends;
  }

  /** How far the topic is acknowledged. */
  get written(): TopicPositions {
    return { cluster: this.#topic.clusterId, topic: this.#topic.topicId, at: this.#ends };
  }

  /**
   * Makes requests of events in their order and then, where one is given, of the watermark to every partition. The first is
   * made at once, which may be while what comes before is being appended; what does not fit into it is made when it is sent.
   */
  prepare(events: readonly ReadEvent[], watermark: string | undefined): Prepared {
    const requests = this.#requestsOf(events, watermark);
    return { first: requests.next(), rest: requests };
  }

  /**
   * Appends what was prepared behind what was given before; resolves when all replicas have it.
   * @throws {TailLostError}
   */
  async append(prepared: Prepared): Promise<void> {
    const sent = this.#allSent.then(() => this.#sendAll(prepared));
    this.#allSent = sent.then(() => undefined);
    this.#allSent.catch(() => undefined);
    await (await sent).last;
  }

  /** Resolves when all requests are sent; `last`, when the last of them is acknowledged. */
  async #sendAll({ first, rest }: Prepared): Promise<{ readonly last: Promise<void> | undefined }> {
    let last: Promise<void> | undefined;
    for (let next = first; !next.done; next = rest.next()) {
      const atOnce = this.#isAcquainted ? requestsAtOnce : 1;
      while (this.#underWay.length >= atOnce) await this.#underWay[0];
      last = this.#send(next.value, this.#underWay.at(-1));
      this.#follow(last);
    }
    return { last };
  }

  #follow(request: Promise<void>): void {
    this.#underWay.push(request);
    request.then(
      () => {
        this.#isAcquainted = true;
        this.#underWay.shift();
      },
      // Nothing can be appended behind it any more: whoever tries meets its fault.
      () => undefined,
    );
  }

  *#requestsOf(events: readonly ReadEvent[], watermark: string | undefined): Generator<Request, void> {
    let request: Request = new Map();
    const relayedAt = Date.now();
    for (const event of events) {
      this.#records.take(event, relayedAt);
      const partition = this.#records.partition(this.#topic.leaders.length);
      if (this.#put(this.#batchOf(request, partition))) continue;
      yield request;
      request = new Map();
      // Meanwhile others were taken.
      this.#records.take(event, relayedAt);
      this.#put(this.#batchOf(request, partition));
    }
    if (watermark !== undefined)
      for (const partition of this.#partitions) this.#batchOf(request, partition).append(watermarkRecord(watermark));
    if (request.size > 0) yield request;
  }

  /** False when the record at hand does not fit into its partition's batch any more. One alone always does. */
  #put(batch: RecordBatch): boolean {
    const { size } = batch;
    this.#records.appendTo(batch);
    if (batch.count === 1 || batch.size <= batchBytes) return true;
    batch.takeBack(size);
    return false;
  }

  async #send(request: Request, earlier: Promise<void> | undefined): Promise<void> {
    const appended = await this.#producer.send(request);
    // An answer that was lost comes later than the one behind it.
    await earlier;
    const ends = { ...this.#ends };
    for (const [partition, found] of appended) {
      const before = positionIn(this.#ends, partition);
      if (found < before.offset)
        throw new TailLostError(this.#topic.name, partition, { expected: before.offset, found });
      const { epoch } = this.#topic.leaders[partition] ?? before;
      ends[partition] = { offset: found + (request.get(partition)?.count ?? 0), epoch };
    }
    this.#ends = ends;
    for (const batch of request.values()) {
      batch.clear();
      this.#spare.push(batch);
    }
  }

  #batchOf(request: Request, partition: number): RecordBatch {
    const known = request.get(partition);
    if (known) return known;
    const batch = this.#spare.pop() ?? new RecordBatch();
    request.set(partition, batch);
    return batch;
  }
}
