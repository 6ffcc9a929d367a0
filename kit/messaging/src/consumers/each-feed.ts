import type { LogReader } from "../log.ts";
import type { CallPlaces } from "./call-places.ts";
import type { BasePorts, EachConsumer, Settled } from "./consumer.ts";
import { EventFlight } from "./event-flight.ts";
import { Feed, type FeedOptions, pause } from "./feed.ts";
import { type Attempt, lockAttempt, unparkEvent } from "./parking.ts";
import type { Progress } from "./progress.ts";

/**
 * One lane of one source for one consumer whose effect is a call outside. Events are prepared in batches, called
 * concurrently across keys and in order within a key, and settled in batches; the cursor follows the highest position up
 * to which everything is settled, and what is settled beyond it is known by the inbox, so that a restart repeats only
 * what was under way.
 */
export class EachFeed<Ports extends BasePorts> extends Feed {
  readonly #consumer: EachConsumer<Ports>;
  readonly #places: CallPlaces;
  readonly #ports: Ports;

  /** `places`: one for all streams of the consumer. */
  constructor(options: FeedOptions, consumer: EachConsumer<Ports>, places: CallPlaces, ports: Ports) {
    super(options, [consumer]);
    this.#consumer = consumer;
    this.#places = places;
    this.#ports = ports;
  }

  protected override async serve(
    progress: Progress,
    reader: LogReader,
    signal: AbortSignal,
    abandon: AbortSignal,
  ): Promise<void> {
    // A fault in one of the loops ends the others: the tenure is over as a whole, and begins anew from the saved cursor.
    const fault = new AbortController();
    abandon.addEventListener("abort", () => fault.abort(abandon.reason), { signal: fault.signal });
    const stop = AbortSignal.any([signal, fault.signal]);
    const flight = new EventFlight({
      feed: this,
      progress,
      consumer: this.#consumer,
      places: this.#places,
      ports: this.#ports,
      stop,
      fault: fault.signal,
    });
    const settled = new AbortController();
    const loops = [
      this.#readLoop(flight, progress, reader, stop),
      flight.prepareLoop(),
      flight.settleLoop().finally(() => settled.abort()),
      this.#holdLoop(progress, AbortSignal.any([settled.signal, fault.signal])),
      this.#redriveLoop(stop),
    ];
    for (const loop of loops) loop.catch((error) => fault.abort(error));
    const ends = await Promise.allSettled(loops);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  async #readLoop(flight: EventFlight<Ports>, progress: Progress, reader: LogReader, stop: AbortSignal): Promise<void> {
    let cursor = progress.saved;
    while (!stop.aborted) {
      await progress.reportNowAndThen();
      const room = await flight.room();
      if (room === 0) return;
      const chunk = await this.withoutMisplaced(await reader.read(cursor, room));
      cursor = chunk.after;
      flight.accept(chunk);
      if (chunk.events.length > 0) continue;
      if (flight.isEmpty) await this.rest(progress, reader, chunk, stop);
      else if (chunk.drained) await reader.wait(stop);
    }
  }

  /** Keeps the lease while calls are under way, however long they take; also those that a stop waits for. */
  async #holdLoop(progress: Progress, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await pause(this.redriveEveryMs, ended);
      if (!ended.aborted && progress.isDue) await progress.hold();
    }
  }

  /** Tries parked keys apart from the stream, which does not wait for their calls. */
  async #redriveLoop(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await pause(this.redriveEveryMs, stop);
      await this.retryDueKeys(stop, (attempt) => this.#redrive(attempt, stop));
    }
  }

  /** Prepares, calls and settles one event; true when its key has no more waiting. */
  async #redrive(attempt: Attempt, stop: AbortSignal): Promise<boolean> {
    const { event, now } = attempt;
    const ports = { ...this.#ports, clock: { now: () => now } };
    const prepared = await this.database.transaction((tx) => this.#consumer.prepare(tx, [event], ports));
    const outcomes: Settled<unknown, unknown>[] = [];
    for (const { work } of prepared) outcomes.push({ event, work, outcome: await this.#call(work, ports, stop) });
    return await this.database.transaction(async (tx) => {
      await lockAttempt(tx, this.name, attempt);
      if (outcomes.length > 0) await this.#consumer.settle(tx, outcomes, ports);
      return await unparkEvent(tx, this.name, attempt);
    });
  }

  async #call(work: unknown, ports: Ports, stop: AbortSignal): Promise<unknown> {
    // Nothing was tried: as with every attempt that a stop ends, it does not count.
    if (!(await this.#places.taken(stop))) throw stop.reason;
    try {
      return await this.#consumer.call(work, ports, stop);
    } finally {
      this.#places.giveBack();
    }
  }
}
