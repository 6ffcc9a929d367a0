/** The processes of a drill, seen from the drill: hired, killed, frozen, replaced. */

import { type ChildProcess, fork } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Answer, Assignment, Order } from "./assignment.ts";
import { type Death, type KillPoint, lastWords } from "./kill-points.ts";

const script = fileURLToPath(new URL("./worker-process.ts", import.meta.url));

/** A process that says nothing for so long is stuck. */
const silenceMs = 240_000;

/** How a process ended. */
export interface Ending {
  readonly how: number | NodeJS.Signals;
  /** Where it died, when it said so itself. */
  readonly point?: string;
  /** Milliseconds since 1970, by the clock that PostgreSQL on this machine also has. */
  readonly at: number;
}

export class Crew implements AsyncDisposable {
  readonly #all = new Set<Worker>();
  #spare: Promise<Worker> | undefined;
  readonly #killAll = (): void => {
    for (const worker of this.#all) worker.signal("SIGKILL");
  };

  constructor() {
    process.once("exit", this.#killAll);
  }

  /** Starts a process, to be ready when another has died. */
  prepareSpare(): void {
    this.#spare ??= this.#start();
  }

  /** Gives an assignment to the spare process, or to a new one. */
  async hire(assignment: Assignment): Promise<Worker> {
    const spare = this.#spare;
    this.#spare = undefined;
    const worker = await (spare ?? this.#start());
    await worker.order({ do: "work", assignment }, "working");
    return worker;
  }

  /** Ends the work of a process in good order; a writer makes so many more changes first. */
  async dismiss(worker: Worker, changes = 0): Promise<void> {
    await worker.order({ do: "finish", changes }, "finished");
    await worker.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off("exit", this.#killAll);
    await this.#spare?.catch(() => undefined);
    await Promise.all([...this.#all].map((worker) => worker.kill()));
  }

  async #start(): Promise<Worker> {
    const worker = new Worker(fork(script, { stdio: ["ignore", "pipe", "inherit", "ipc"] }));
    this.#all.add(worker);
    void worker.ended.then(() => this.#all.delete(worker));
    await worker.hears("ready");
    return worker;
  }
}

export class Worker {
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #heard = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #point: string | undefined;
  #gone = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      // At `close` and not at `exit`: its last words have been read then.
      child.once("close", (code, signal) => {
        const at = Date.now();
        this.#gone = true;
        this.#wake();
        resolve({ how: code ?? signal ?? 0, at, ...(this.#point !== undefined && { point: this.#point }) });
      });
    });
    child.on("message", ({ said }: Answer) => this.#hear(said));
    if (!child.stdout) throw new Error("The process has no standard output.");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, point] = lastWords.exec(line) ?? [];
      if (point === undefined) return void process.stderr.write(`${line}\n`);
      this.#point = point;
      this.#hear(point);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until the process has said it since it was last asked, and forgets it. Throws when the process ends first. */
  async hears(what: Answer["said"] | KillPoint, withinMs = silenceMs): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!this.#heard.delete(what)) {
      if (this.#gone) throw new Error(`The process ended before it said "${what}".`);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`The process did not say "${what}" within ${withinMs} ms.`);
      await this.#next(leftMs);
    }
  }

  async order(order: Order, answer: Answer["said"]): Promise<void> {
    this.#heard.delete(answer);
    this.#child.send(order);
    await this.hears(answer);
  }

  ordain(death: Death | null): void {
    this.#child.send({ do: "die", death } satisfies Order);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Lets a frozen process go on, when another has taken its streams, and waits until it has noticed. */
  async thaw(): Promise<void> {
    this.#heard.delete("cut-off");
    this.signal("SIGCONT");
    await this.hears("cut-off");
  }

  async kill(): Promise<Ending> {
    this.signal("SIGKILL");
    return await this.ended;
  }

  #hear(what: string): void {
    this.#heard.add(what);
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#listeners]) wake();
  }

  #next(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, withinMs);
      this.#listeners.add(wake);
    });
  }
}
