import { setTimeout as sleep } from "node:timers/promises";
import { defineFact } from "@onsale/runtime";
import { isAlive, markOf, type ProcessMark, send } from "./process-mark.ts";

/** A process that this one started and depends on. */
export interface Child {
  readonly pid: number;
  /** Ends it in good order. Also called for one that is dead already, to let go of what belonged to it. */
  stop(): Promise<void>;
}

export interface SupervisedChild<C extends Child> {
  /** As it was first started; later ones are reached at the same addresses. */
  readonly first: C;
  stop(): Promise<void>;
  /** Sends a signal to the living one, for when there is no time left. */
  signal(name: NodeJS.Signals): void;
}

export interface Supervision<C extends Child> {
  readonly name: string;
  /** Starts it; called again whenever it ended without being asked to. It must come up at the same address each time. */
  readonly start: () => Promise<C>;
  /** Told of each one that runs, before anything uses it. */
  readonly onStarted: (mark: ProcessMark) => void;
  /** Words for the person at the terminal. */
  readonly say: (words: string) => void;
}

const telemetry = {
  ended: defineFact("child process ended by itself", {
    counter: "onsale_child_ended_total",
    labels: ["child"],
    level: "error",
  }),
  notStarted: defineFact("child process could not be started again", { labels: ["child"], level: "error" }),
  back: defineFact("child process runs again", { labels: ["child"], level: "info" }),
};

// Often enough that buyers notice the shortest possible pause; a look is one read from /proc.
const lookEveryMs = 100;
const firstPauseMs = 100;
const longestPauseMs = 10_000;
// One that lived this long did not die of its start: the next pause is short again.
const healthyAfterMs = 60_000;

/** Starts a child and keeps it: when it dies it is started again, with growing pauses. The first start may fail, which is passed on. */
export async function supervise<C extends Child>(supervision: Supervision<C>): Promise<SupervisedChild<C>> {
  const keeper = new Keeper(supervision);
  const first = await keeper.begin();
  return { first, stop: () => keeper.stop(), signal: (name) => keeper.signal(name) };
}

class Keeper<C extends Child> {
  readonly #supervision: Supervision<C>;
  readonly #stop = new AbortController();
  #current: { readonly child: C; readonly mark: ProcessMark; readonly since: number } | undefined;
  #watching: Promise<void> = Promise.resolve();

  constructor(supervision: Supervision<C>) {
    this.#supervision = supervision;
  }

  async begin(): Promise<C> {
    const child = await this.#start();
    this.#watching = this.#watch();
    return child;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.#current?.child.stop();
  }

  signal(name: NodeJS.Signals): void {
    this.#stop.abort();
    if (this.#current) send(this.#current.mark, name);
  }

  async #start(): Promise<C> {
    const child = await this.#supervision.start();
    const mark = markOf(child.pid);
    if (mark === undefined) throw new Error(`${this.#supervision.name} ended as soon as it had started.`);
    this.#current = { child, mark, since: performance.now() };
    this.#supervision.onStarted(mark);
    return child;
  }

  async #watch(): Promise<void> {
    let deaths = 0;
    for (;;) {
      const living = await this.#death();
      if (living === undefined) return;
      const livedLong = performance.now() - living.since > healthyAfterMs;
      deaths = livedLong ? 1 : deaths + 1;
      await this.#startAgain(living.child, deaths);
    }
  }

  /** Waits until the child has died by itself, and gives it; undefined when it is we who end it. */
  async #death(): Promise<{ readonly child: C; readonly since: number } | undefined> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (this.#current && !isAlive(this.#current.mark)) return this.#current;
      await pause(lookEveryMs, signal);
    }
    return undefined;
  }

  async #startAgain(dead: C, deaths: number): Promise<void> {
    const { name, say } = this.#supervision;
    const { signal } = this.#stop;
    telemetry.ended({ child: name, pid: dead.pid });
    say(`${name} ended by itself; starting it again.`);
    // Lets go of its lock and its folder. That it could not be stopped is no news: it is dead.
    await dead.stop().catch(() => undefined);
    for (let attempt = deaths; !signal.aborted; attempt++) {
      await pause(Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt - 1, 10)), signal);
      if (signal.aborted) return;
      try {
        await this.#start();
        telemetry.back({ child: name });
        say(`${name} runs again.`);
        return;
      } catch (error) {
        telemetry.notStarted({ child: name, error });
      }
    }
  }
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
