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
   * Resolves at the next ring, or at one that came since the last wait, or after `milliseconds`, or when `signal` aborts.
   * Tells whether it rang.
   */
  async wait(milliseconds: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung && !signal.aborted) await this.#nextRing(milliseconds, signal);
    if (!this.#rung) return false;
    this.#rung = false;
    this.#listen();
    return true;
  }

  #nextRing(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(wake, milliseconds);
      const self = this;
      function wake(): void {
        clearTimeout(timer);
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
