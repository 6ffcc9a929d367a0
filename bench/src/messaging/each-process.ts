/** One of the processes of an `each` consumer over a whole topic, round after round, each as a reader that was never there. */

import { setTimeout as sleep } from "node:timers/promises";
import { type CallOrder, consumer, type Log, type RunningFeeds } from "@onsale/messaging";
import { KafkaCluster, KafkaLog } from "@onsale/messaging/kafka";
import { answer } from "./child.ts";
import { sharedClock } from "./clock.ts";
import { openSchema, sink, source } from "./ground.ts";
import { orderPlaced } from "./order-event.ts";

/** What one process has of a round. */
export interface EachRound {
  readonly url: string;
  readonly bootstrap: string;
  readonly prefix: string;
  /** The same in all processes of a round, and another one in each round: a reader of another name begins at the beginning. */
  readonly reader: string;
  readonly order: CallOrder;
  /** Calls at once in this process. */
  readonly concurrency: number;
  /** How many of the slots this process is to have. */
  readonly share: number;
  /** By slot. */
  readonly messages: readonly number[];
}

export type EachOrder =
  /** Answered when it has its share of the slots; nothing is read before it is told to. */
  | { readonly begin: EachRound }
  /** Reads; answered when the last call of its share has ended. */
  | "read"
  /** Answered when it has given everything back. */
  | "end";

/** On the clock that processes share: the beginning of the first call, and the end of the last. */
export interface EachReport {
  readonly startedAt: number;
  readonly endedAt: number;
}

let mirror: ReturnType<typeof openSchema> | undefined;
let round: Round | undefined;

answer(async (order: EachOrder): Promise<EachReport | Record<string, never>> => {
  if (order === "read" && round) return await round.read();
  if (order === "end") await round?.end();
  if (typeof order !== "object") return {};
  mirror ??= openSchema(order.begin.url, sink);
  round = new Round(order.begin, await mirror);
  await round.hasItsShare();
  return {};
});

class Round {
  readonly #cluster: KafkaCluster;
  readonly #log: KafkaLog;
  readonly #held: HeldLog;
  readonly #feeds: RunningFeeds;
  readonly #messages: readonly number[];
  readonly #done = Promise.withResolvers<EachReport>();
  #left = 0;

  constructor(round: EachRound, messaging: Awaited<NonNullable<typeof mirror>>) {
    const { bootstrap, prefix, reader, order, concurrency, share, messages } = round;
    this.#messages = messages;
    this.#cluster = new KafkaCluster({ bootstrap, prefix });
    this.#log = new KafkaLog({ cluster: this.#cluster, database: messaging.database, slots: messages.length });
    this.#held = new HeldLog(this.#log, share);
    let startedAt: number | undefined;
    const call = consumer(reader, {
      ...{ on: orderPlaced, in: "each", order, concurrency },
      call: async ({ data }) => {
        startedAt ??= sharedClock();
        // The other side answers after as many milliseconds as the event says.
        if (data.note !== "0") await sleep(Number(data.note));
        this.#left--;
        if (this.#left === 0) this.#done.resolve({ startedAt, endedAt: sharedClock() });
      },
    });
    this.#feeds = messaging.consume([call], { log: this.#held, sourceOf: () => source });
  }

  hasItsShare(): Promise<void> {
    return this.#held.hasItsShare;
  }

  read(): Promise<EachReport> {
    this.#left = this.#held.held.reduce((sum, slot) => sum + (this.#messages[slot] ?? 0), 0);
    this.#held.letGo();
    return this.#done.promise;
  }

  async end(): Promise<void> {
    await this.#feeds.drain();
    await this.#log.close();
    await this.#cluster.close();
  }
}

/** A log that has nothing to read until it is let go, so that processes share its slots before the clock starts. */
class HeldLog implements Log {
  readonly cursors: Log["cursors"];
  readonly hasItsShare: Promise<void>;
  readonly #log: Log;
  readonly #share: number;
  readonly #shared = Promise.withResolvers<void>();
  readonly #gone = new AbortController();
  readonly #open = new Set<number>();

  constructor(log: Log, share: number) {
    this.#log = log;
    this.#share = share;
    this.cursors = log.cursors;
    this.hasItsShare = this.#shared.promise;
  }

  /** That are open now. */
  get held(): readonly number[] {
    return [...this.#open];
  }

  letGo(): void {
    this.#gone.abort();
  }

  slots(of: string): number {
    return this.#log.slots(of);
  }

  open(...[stream, heard]: Parameters<Log["open"]>): ReturnType<Log["open"]> {
    const reader = this.#log.open(stream, heard);
    const gone = this.#gone.signal;
    this.#open.add(stream.slot);
    this.#look();
    return {
      read: async (cursor, limit) =>
        gone.aborted ? await reader.read(cursor, limit) : { events: [], after: cursor, drained: true },
      wait: async (signal) => {
        if (gone.aborted) await reader.wait(signal);
        else await sleep(longestWaitMs, undefined, { signal: AbortSignal.any([signal, gone]) }).catch(() => undefined);
      },
      close: async () => {
        this.#open.delete(stream.slot);
        this.#look();
        await reader.close();
      },
    };
  }

  #look(): void {
    if (this.#open.size === this.#share) this.#shared.resolve();
  }
}

/** Whoever waits has a lease to keep. */
const longestWaitMs = 500;
