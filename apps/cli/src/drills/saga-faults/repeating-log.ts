/** A log that delivers at least once, and shows it: chosen events are handed over again. */

import type { Chunk, Cursor, Delivered, Log, LogReader, ReadEvent } from "@onsale/messaging";
import type { Fault } from "./steps.ts";

interface Repetitions {
  /** How the event is to be repeated to this reader, if it is. */
  repetitionOf(event: Delivered, reader: string): Fault | undefined;
  handedAgain(event: Delivered): void;
}

export const repeating = (log: Log, repetitions: Repetitions): Log => ({
  cursors: log.cursors,
  slots: (source) => log.slots(source),
  open: (feed, types) => new RepeatingReader(log.open(feed, types), feed.reader, repetitions),
});

/**
 * Delivered twice: once more in the same chunk, and once more in the next. Delivered in the wrong order: everything that
 * this reader had of the key comes again behind it, the latest first, and it comes again behind whatever comes next of the
 * key. Cursors never go back by it, as those of a log never do.
 */
class RepeatingReader implements LogReader {
  readonly #inner: LogReader;
  readonly #reader: string;
  readonly #repetitions: Repetitions;
  readonly #hadOfKey = new Map<string, Delivered[]>();
  readonly #disordered = new Map<string, Delivered>();
  #again: Delivered[] = [];

  constructor(inner: LogReader, reader: string, repetitions: Repetitions) {
    this.#inner = inner;
    this.#reader = reader;
    this.#repetitions = repetitions;
  }

  async read(cursor: Cursor, limit: number): Promise<Chunk> {
    if (this.#again.length > 0) return this.#repeat(cursor);
    const chunk = await this.#inner.read(cursor, limit);
    return { ...chunk, events: chunk.events.flatMap((one) => this.#withRepetitions(one)) };
  }

  wait(signal: AbortSignal): Promise<void> {
    return this.#again.length > 0 ? Promise.resolve() : this.#inner.wait(signal);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #repeat(cursor: Cursor): Chunk {
    const events = this.#again.splice(0).map((event) => ({ event, after: cursor }));
    for (const { event } of events) this.#repetitions.handedAgain(event);
    return { events, after: cursor, drained: false };
  }

  #withRepetitions(one: ReadEvent): ReadEvent[] {
    const { event } = one;
    const key = `${event.type.split(".")[0]} ${event.key}`;
    const had = [...(this.#hadOfKey.get(key) ?? []), event];
    this.#hadOfKey.set(key, had);
    const disordered = this.#disordered.get(key);
    if (disordered) this.#again.push(disordered);
    const fault = this.#repetitions.repetitionOf(event, this.#reader);
    if (fault === "delivered in the wrong order") {
      this.#disordered.set(key, event);
      this.#again.push(...had.toReversed());
    }
    if (fault !== "delivered twice") return [one];
    this.#again.push(event);
    this.#repetitions.handedAgain(event);
    return [one, one];
  }
}
