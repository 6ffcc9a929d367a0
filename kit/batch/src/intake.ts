/** Gathers requests into batches: while one batch commits, the next collects. */

import { isUnavailable } from "@onsale/postgres";
import { telemetry } from "./telemetry.ts";

/** There is as much waiting as can be decided in time; nothing was taken on. */
export class IntakeFullError extends Error {
  override readonly name = "IntakeFullError";
}

export interface IntakeOptions<Request, Outcome> {
  /** Decides a batch in one transaction: one outcome per request, in their order. */
  readonly decide: (requests: readonly Request[]) => Promise<readonly Outcome[]>;
  /** Requests decided in one transaction, at most. */
  readonly batchSize?: number;
  /** Requests that wait, at most. */
  readonly queueLimit?: number;
}

// The measured optimum: a transaction for a thousand orders costs little more than one for a hundred, and takes about a
// tenth of a second on two cores.
const defaultBatchSize = 1_000;
// Four batches: what is decided within half a second, and enough that a batch is always full under load.
const defaultQueueLimit = 4 * defaultBatchSize;

interface Waiting<Request, Outcome> {
  readonly request: Request;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Requests are decided in the order in which they came: one batch at a time, so that no later one can overtake. A batch
 * that fails is tried again in parts until the request that can't be decided stands alone, and only that one fails.
 */
export class Intake<Request, Outcome> {
  readonly #decide: IntakeOptions<Request, Outcome>["decide"];
  readonly #batchSize: number;
  readonly #queueLimit: number;
  #queue: Waiting<Request, Outcome>[] = [];
  #draining = false;

  constructor({
    decide,
    batchSize = defaultBatchSize,
    queueLimit = defaultQueueLimit,
  }: IntakeOptions<Request, Outcome>) {
    this.#decide = decide;
    this.#batchSize = batchSize;
    this.#queueLimit = queueLimit;
  }

  /** @throws {IntakeFullError} at once when too many wait; otherwise whatever made it impossible to decide this request. */
  submit(request: Request): Promise<Outcome> {
    if (this.#queue.length >= this.#queueLimit) {
      telemetry.intakeOverloaded();
      return Promise.reject(new IntakeFullError("Too many requests are waiting to be decided."));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject });
      if (this.#draining) return;
      this.#draining = true;
      // Not at once: what came in the same turn of the event loop belongs into the same batch.
      setImmediate(() => this.#drain());
    });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, this.#batchSize);
      this.#queue = this.#queue.slice(this.#batchSize);
      await this.#settle(batch);
    }
    this.#draining = false;
  }

  /** Answers every request of the batch; it never throws. */
  async #settle(batch: readonly Waiting<Request, Outcome>[]): Promise<void> {
    try {
      const outcomes = await this.#decide(batch.map(({ request }) => request));
      if (outcomes.length !== batch.length)
        throw new Error(`${batch.length} requests got ${outcomes.length} outcomes.`);
      for (const [index, outcome] of outcomes.entries()) batch[index]?.resolve(outcome);
    } catch (error) {
      // Without a database the parts would fail as well, each after a timeout of its own; and where a commit's fate is
      // unknown, the clients find out under their keys.
      if (batch.length === 1 || isUnavailable(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      telemetry.intakeBatchSplit({ size: batch.length, error });
      await this.#settleInParts(batch);
    }
  }

  /**
   * Two levels instead of halving: what fails a batch may be a lock timeout, and the culprit's neighbours wait for one on
   * each level.
   */
  async #settleInParts(batch: readonly Waiting<Request, Outcome>[]): Promise<void> {
    const size = batch.length > partSize ? partSize : 1;
    const parts = Array.from({ length: Math.ceil(batch.length / size) }, (_, index) =>
      batch.slice(index * size, (index + 1) * size),
    );
    const lane = async () => {
      for (let part = parts.shift(); part; part = parts.shift()) await this.#settle(part);
    };
    await Promise.all(Array.from({ length: partsAtOnce }, lane));
  }
}

// The square root of a full batch: as many parts as requests in a part.
const partSize = 32;
// Beside each other, so that a part that waits for a lock holds up few; as many as half a service's connections.
const partsAtOnce = 4;
