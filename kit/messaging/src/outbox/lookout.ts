/** Looks at outboxes for all readers of a process, so that many readers look as seldom as one. */

import type { Database } from "@onsale/postgres";
import { WindowSource } from "./window.ts";

/** Who has this role may read every outbox of the server; the migrations make it, and give it to each service's own. */
export const readerRole = "onsale_reader";

/** One for all logs of a process that read the outboxes of one server. */
export class Lookout {
  readonly pollMs: number;
  readonly #database: Database;
  readonly #windows = new Map<string, WindowSource>();
  readonly #resting = new Set<() => void>();
  #beat: NodeJS.Timeout | undefined;

  /** `pollMs`: milliseconds between looks at an outbox that has long been quiet, while no ring is heard. */
  constructor({ database, pollMs = 100 }: { database: Database; pollMs?: number }) {
    this.#database = database;
    this.pollMs = pollMs;
  }

  windowsOf(source: string): WindowSource {
    const known = this.#windows.get(source) ?? new WindowSource(this.#database, source);
    this.#windows.set(source, known);
    return known;
  }

  /** Calls back within `pollMs`, together with all others that rest: their looks are one. Gives the way to stop it. */
  onBeat(wake: () => void): () => void {
    this.#resting.add(wake);
    this.#beat ??= setTimeout(() => this.#wakeAll(), this.pollMs);
    return () => this.#resting.delete(wake);
  }

  #wakeAll(): void {
    this.#beat = undefined;
    const resting = [...this.#resting];
    this.#resting.clear();
    for (const wake of resting) wake();
  }
}
