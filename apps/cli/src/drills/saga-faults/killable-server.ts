/** The server's process as the drill sees it: started, armed, killed by its own faults, started again. */

import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { killAtExit } from "@onsale/child-process";
import type { Answer, Arm, Bounds, JournalLine, Order, ServerOptions } from "./arms.ts";

const script = fileURLToPath(new URL("./server-process.ts", import.meta.url));

/** A start reads its modules, migrates and listens: seconds; on a machine with other work it took thirty. */
const startMs = 90_000;
const answerMs = 30_000;

export class KillableServer {
  readonly #options: Omit<ServerOptions, "bounds">;
  #running: ServerProcess | undefined;
  #spare: Promise<ServerProcess> | undefined;
  #bounds: Bounds | undefined;
  readonly #journal: JournalLine[] = [];
  #journalRead = 0;
  starts = 0;

  constructor(options: Omit<ServerOptions, "bounds">) {
    this.#options = options;
  }

  /** Runs with these bounds from now on; what runs with others is closed in good order. */
  async runWith(bounds: Bounds): Promise<void> {
    if (this.#running && !this.#running.isGone && this.#bounds === bounds) return;
    await this.close();
    this.#bounds = bounds;
    const running = await (this.#spare ?? ServerProcess.start());
    this.#spare = undefined;
    this.#running = running;
    this.starts++;
    await running.order({ do: "open", options: { ...this.#options, bounds } }, "opened", startMs);
  }

  async arm(arms: readonly Arm[]): Promise<void> {
    await this.#running?.order({ do: "arm", arms }, "armed", answerMs);
  }

  async mend(): Promise<void> {
    await this.#running?.order({ do: "mend" }, "mended", answerMs);
  }

  /** Loads the modules of the next one, to be ready when this one has died. */
  prepareNext(): void {
    this.#spare ??= ServerProcess.start();
    this.#spare.catch(() => undefined);
  }

  /** Resolves when it has died, or `withinMs` have passed; tells whether it died. */
  async diesWithin(withinMs: number): Promise<boolean> {
    return (await this.#running?.endsWithin(withinMs)) ?? true;
  }

  async close(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined || running.isGone) return;
    await running.order({ do: "close" }, "closed", answerMs);
    await running.end();
  }

  /** At once, whatever is under way. */
  async abandon(): Promise<void> {
    await Promise.all([this.#running?.end(), this.#spare?.then((spare) => spare.end()).catch(() => undefined)]);
  }

  /** What the servers wrote down so far. A process that was killed may have left half a line. */
  async journal(): Promise<readonly JournalLine[]> {
    const bytes = await readFile(this.#options.journal).catch(() => Buffer.alloc(0));
    const end = bytes.lastIndexOf("\n") + 1;
    const lines = bytes.subarray(this.#journalRead, end).toString().split("\n");
    this.#journalRead = end;
    for (const line of lines) if (line.endsWith("}")) this.#journal.push(JSON.parse(line) as JournalLine);
    return this.#journal;
  }
}

class ServerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  isGone = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("exit", () => {
        this.isGone = true;
        resolve();
      });
    });
    killAtExit(child);
  }

  static async start(): Promise<ServerProcess> {
    const started = new ServerProcess(fork(script, { stdio: ["ignore", "ignore", "inherit", "ipc"] }));
    await started.#hears("ready", startMs);
    return started;
  }

  async order(order: Order, answer: Answer["said"], withinMs: number): Promise<void> {
    const heard = this.#hears(answer, withinMs);
    this.#child.send(order);
    await heard;
  }

  endsWithin(withinMs: number): Promise<boolean> {
    return Promise.race([this.#ended.then(() => true), after(withinMs, false)]);
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #hears(what: Answer["said"], withinMs: number): Promise<void> {
    const said = new Promise<true>((resolve) => {
      const listen = ({ said: word }: Answer): void => {
        if (word !== what) return;
        this.#child.off("message", listen);
        resolve(true);
      };
      this.#child.on("message", listen);
    });
    return Promise.race([said, this.#ended.then(() => "it ended"), after(withinMs, "nothing came")]).then((outcome) => {
      if (outcome !== true) throw new Error(`The server was to say "${what}", but ${outcome}.`);
    });
  }
}

const after = <Value>(milliseconds: number, value: Value): Promise<Value> =>
  new Promise((resolve) => setTimeout(() => resolve(value), milliseconds).unref());
