import { setTimeout as sleep } from "node:timers/promises";
import type { Lane } from "../events/event.ts";
import { Signal } from "../signal.ts";

/** What a transaction of the bulk lane takes while the online lane is busy, in milliseconds: an online event may have to wait for it. */
const besideOnlineMs = 12;

/** Events that it has at least, however slow the machine: of smaller ones the bulk lane would pay more for their number than for its events. */
const leastBesideOnline = 200;

/** How much the last batch counts in what is expected of the next. */
const weightOfLast = 0.25;

/** How long the online lane counts as busy after its last batch: longer than the gaps of a steady stream. */
const busyForMs = 50;

/**
 * Lets the online lane's batches of a process go before those of its bulk lane. Both use the same processor and the same
 * database, so that outboxes and cursors of their own are not enough: a bulk batch waits while an online one is read or
 * runs, but never longer than the last bulk batch took. So the bulk lane is slowed down and never starved: half of the time
 * is its own, however busy the online lane is.
 */
export class LaneGate {
  /** Batches of the online lane. */
  readonly #online = { reading: 0, running: 0 };
  #onlineRanAt = Number.NEGATIVE_INFINITY;
  #lastBulkMs = 0;
  #besideOnline = leastBesideOnline;
  readonly #changed = new Signal();

  /** Waits until a batch of this lane may begin; gives how many events, of at most `limit`, it may have. */
  async turn(lane: Lane, limit: number, signal: AbortSignal): Promise<number> {
    if (lane === "online") return limit;
    const bound = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(this.#lastBulkMs))]);
    while (this.#online.reading + this.#online.running > 0 && !bound.aborted) await this.#changed.wait(bound);
    // Whatever else is ready in this process goes first.
    await sleep(0);
    return this.#isOnlineBusy ? Math.min(limit, Math.round(this.#besideOnline)) : limit;
  }

  /** Reads what a batch of this lane is to be made of. */
  read<Read>(lane: Lane, read: () => Promise<Read>): Promise<Read> {
    return lane === "online" ? this.#beforeBulk("reading", read) : read();
  }

  /** Runs a batch of this lane that has so many events. */
  async run(lane: Lane, events: number, batch: () => Promise<void>): Promise<void> {
    if (lane === "online") {
      await this.#beforeBulk("running", batch);
      return;
    }
    const startedAt = performance.now();
    const isBeside = this.#isOnlineBusy;
    try {
      await batch();
    } finally {
      this.#lastBulkMs = performance.now() - startedAt;
      if (isBeside) this.#expectAsOf(events, this.#lastBulkMs);
    }
  }

  async #beforeBulk<Result>(stage: "reading" | "running", work: () => Promise<Result>): Promise<Result> {
    this.#online[stage]++;
    try {
      return await work();
    } finally {
      this.#online[stage]--;
      if (stage === "running") this.#onlineRanAt = performance.now();
      this.#changed.notify();
    }
  }

  #expectAsOf(events: number, milliseconds: number): void {
    const fitting = (events * besideOnlineMs) / Math.max(milliseconds, 1);
    const expected = this.#besideOnline * (1 - weightOfLast) + fitting * weightOfLast;
    this.#besideOnline = Math.max(leastBesideOnline, expected);
  }

  get #isOnlineBusy(): boolean {
    return this.#online.running > 0 || performance.now() - this.#onlineRanAt < busyForMs;
  }
}
