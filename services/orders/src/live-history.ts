/** Histories of orders as they grow: one poll for everybody who watches, and at once what changes in this process. */

import type { OrderId } from "@onsale/contracts/ids";
import type { Database } from "@onsale/postgres";
import type { HistoryEntry } from "./order.ts";
import { onChanges } from "./order-changes.ts";
import { readHistory } from "./store/order-history.ts";
import { telemetry } from "./telemetry.ts";

// What another process does shows after this, in milliseconds; what this one does shows at once.
const defaultPollMs = 500;
// Watched orders asked about by one statement; an index look-up each.
const watchedPerRead = 1_000;
// Steps of one order given at once. An order has a dozen; one with very many returns gets the rest by the next read.
const stepsPerRead = 100;

interface Watcher {
  readonly orderId: OrderId;
  after: number;
  readonly take: (entries: readonly HistoryEntry[]) => void;
}

export class LiveHistory {
  readonly #database: Database;
  readonly #pollMs: number;
  readonly #watchers = new Map<OrderId, Set<Watcher>>();
  readonly #changed = new Set<OrderId>();
  #wake: (() => void) | undefined;
  #running = false;

  constructor(database: Database, { pollMs = defaultPollMs }: { readonly pollMs?: number } = {}) {
    this.#database = database;
    this.#pollMs = pollMs;
  }

  /** The steps of an order after version `after`: those there are, then each as it comes, up to the one that ends the order. */
  async *follow(orderId: OrderId, after: number, signal: AbortSignal): AsyncGenerator<HistoryEntry> {
    const arrived: HistoryEntry[] = [];
    let wake = (): void => undefined;
    const watcher: Watcher = {
      orderId,
      after,
      take: (entries) => {
        arrived.push(...entries);
        wake();
      },
    };
    signal.addEventListener("abort", () => wake(), { once: true });
    this.#watch(watcher);
    try {
      while (!signal.aborted) {
        const entry = arrived.shift();
        if (entry) {
          yield entry;
          // What was there at once may go on: a confirmed order can have been returned or cancelled since.
          if (entry.status !== "PENDING" && arrived.length === 0) return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.#forget(watcher);
    }
  }

  #watch(watcher: Watcher): void {
    const watchers = this.#watchers.get(watcher.orderId) ?? new Set();
    this.#watchers.set(watcher.orderId, watchers.add(watcher));
    this.#lookAt([watcher.orderId]);
    if (!this.#running) void this.#run();
  }

  #forget(watcher: Watcher): void {
    const watchers = this.#watchers.get(watcher.orderId);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watchers.delete(watcher.orderId);
    if (this.#watchers.size === 0) this.#wake?.();
  }

  #lookAt(orderIds: readonly OrderId[]): void {
    for (const orderId of orderIds) if (this.#watchers.has(orderId)) this.#changed.add(orderId);
    if (this.#changed.size > 0) this.#wake?.();
  }

  /** Reads as long as somebody watches. */
  async #run(): Promise<void> {
    this.#running = true;
    const stop = onChanges(this.#database.home, (orderIds) => this.#lookAt(orderIds));
    while (this.#watchers.size > 0) {
      const looked = this.#changed.size > 0 ? [...this.#changed] : [...this.#watchers.keys()];
      this.#changed.clear();
      try {
        for (let at = 0; at < looked.length; at += watchedPerRead)
          await this.#read(looked.slice(at, at + watchedPerRead));
      } catch (error) {
        // The watchers wait on: the next poll finds what this one missed.
        telemetry.historyUnread({ error });
        this.#changed.clear();
        await this.#pause();
      }
      if (this.#changed.size === 0 && this.#watchers.size > 0) await this.#pause();
    }
    stop();
    this.#running = false;
  }

  async #read(orderIds: readonly OrderId[]): Promise<void> {
    const watchers = orderIds.flatMap((orderId) => [...(this.#watchers.get(orderId) ?? [])]);
    const leastKnown = new Map<OrderId, number>();
    for (const { orderId, after } of watchers)
      leastKnown.set(orderId, Math.min(after, leastKnown.get(orderId) ?? after));
    const wishes = [...leastKnown].map(([orderId, after]) => ({ orderId, after }));
    const entries = Map.groupBy(await readHistory(this.#database, wishes, stepsPerRead), (entry) => entry.orderId);
    for (const watcher of watchers) {
      const news = (entries.get(watcher.orderId) ?? []).filter(({ version }) => version > watcher.after);
      watcher.after = news.at(-1)?.version ?? watcher.after;
      if (news.length > 0) watcher.take(news);
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), this.#pollMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
