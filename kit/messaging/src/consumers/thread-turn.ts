import { setImmediate as nextTurn } from "node:timers/promises";

/** How long the process's one thread is kept at a time, in milliseconds. */
const keptMs = 0.5;

/**
 * Work on many events that keeps the process's one thread for half a millisecond at a time. To parse a thousand events takes
 * milliseconds, and an online event that was under way would wait for them at each of its answers from the database.
 */
export class ThreadTurn {
  #since = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#since > keptMs;
  }

  /** Whatever else is ready in this process goes first. */
  async passOn(): Promise<void> {
    await nextTurn();
    this.#since = performance.now();
  }
}
