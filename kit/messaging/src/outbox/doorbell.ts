/**
 * Wakes readers in the same process as soon as a transaction that published has committed. It only saves waiting: a
 * reader in another process, or one that missed a ring, finds the events by its poll.
 */

import type { Home, Transaction } from "@onsale/postgres";

const waiters = new Map<string, Set<() => void>>();
const addressOf = ({ database, schema }: Home): string => `${database}/${schema}`;

export function ring(home: Home): void {
  const address = addressOf(home);
  const waiting = waiters.get(address);
  if (!waiting) return;
  waiters.delete(address);
  for (const wake of waiting) wake();
}

export const ringAfterCommit = (tx: Transaction): void => tx.afterCommit(() => ring(tx.home));

/** Wakes once; what it gives back keeps it from that. */
export type Waker = (wake: () => void) => () => void;

const afterMs =
  (milliseconds: number): Waker =>
  (wake) => {
    const timer = setTimeout(wake, milliseconds);
    return () => clearTimeout(timer);
  };

/** Ears at one outbox. A ring is kept until the next `wait`, so that none is lost between looking and waiting. */
export class Doorbell {
  readonly #address: string;
  #rung = false;
  #wake: (() => void) | undefined;
  readonly #hear = (): void => {
    this.#rung = true;
    this.#wake?.();
  };

  constructor(home: Home) {
    this.#address = addressOf(home);
    this.#listen();
  }

  /**
   * Resolves at the next ring, or at one that came since the last wait, or when `otherwise` wakes (after so many milliseconds, or
   * as it likes), or when `signal` aborts. Tells whether it rang.
   */
  async wait(otherwise: number | Waker, signal: AbortSignal): Promise<boolean> {
    const waker = typeof otherwise === "number" ? afterMs(otherwise) : otherwise;
    if (!this.#rung && !signal.aborted) await this.#nextRing(waker, signal);
    if (!this.#rung) return false;
    this.#rung = false;
    this.#listen();
    return true;
  }

  #nextRing(waker: Waker, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleepOn = waker(wake);
      const self = this;
      function wake(): void {
        sleepOn();
        signal.removeEventListener("abort", wake);
        self.#wake = undefined;
        resolve();
      }
      this.#wake = wake;
      signal.addEventListener("abort", wake);
    });
  }

  #listen(): void {
    const waiting = waiters.get(this.#address) ?? new Set();
    waiting.add(this.#hear);
    waiters.set(this.#address, waiting);
  }
}
