import { setTimeout as sleep } from "node:timers/promises";
import type { Lane } from "../events/event.ts";
import { Signal } from "../signal.ts";

/** Events of one transaction of the bulk lane while the online lane is busy: a few milliseconds of an online event's wait. */
const besideOnline = 200;

/** How long the online lane counts as busy after its last batch: longer than the gaps of a steady stream. */
const busyForMs = 50;

/**
 * Lets the online lane's batches of a process go before those of its bulk lane. Both use the same processor and the same
 * database, so that outboxes and cursors of their own are not enough: a bulk batch waits while an online one runs, but
 * never longer than the last bulk batch took. So the bulk lane is slowed down and never starved: half of the time is its
 * own, however busy the online lane is.
 */
export class LaneGate {
  #onlineRunning = 0;
  #onlineEndedAt = Number.NEGATIVE_INFINITY;
  #lastBulkMs = 0;
  readonly #changed = new Signal();

  /** Waits until a batch of this lane may begin; gives how many events, of at most `limit`, it may have. */
  async turn(lane: Lane, limit: number, signal: AbortSignal): Promise<number> {
    if (lane === "online") return limit;
    const bound = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(this.#lastBulkMs))]);
    while (this.#onlineRunning > 0 && !bound.aborted) await this.#changed.wait(bound);
    // Whatever else is ready in this process goes first.
    await sleep(0);
    return this.#isOnlineBusy ? Math.min(limit, besideOnline) : limit;
  }

  /** Runs a batch of this lane. */
  async run(lane: Lane, batch: () => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    if (lane === "online") this.#onlineRunning++;
    try {
      await batch();
    } finally {
      if (lane === "online") {
        this.#onlineRunning--;
        this.#onlineEndedAt = performance.now();
        this.#changed.notify();
      } else {
        this.#lastBulkMs = performance.now() - startedAt;
      }
    }
  }

  get #isOnlineBusy(): boolean {
    return this.#onlineRunning > 0 || performance.now() - this.#onlineEndedAt < busyForMs;
  }
}
