/** A process of its own for one part of a measurement: it is told what to do, says what it found, and ends with its parent. */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A child that answers one message for every message that it is sent, the first of which tells what to do. */
export class Child<Said> implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #name: string;

  /** `file`: beside this one. */
  constructor(file: string) {
    this.#name = file;
    this.#process = fork(new URL(file, import.meta.url), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  }

  /** Sends a message and gives the answer. */
  async ask(message: object | string): Promise<Said> {
    const over = new AbortController();
    const answer = once(this.#process, "message", { signal: over.signal }).then(([said]) => said as Said);
    const end = once(this.#process, "exit", { signal: over.signal }).then(([code, signal]) => {
      throw new Error(`${this.#name} ended with ${signal ?? `code ${code}`} before it had answered.`);
    });
    for (const waiting of [answer, end]) waiting.catch(() => undefined);
    try {
      this.#process.send(message);
      return await Promise.race([answer, end]);
    } finally {
      over.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }
}

/** In the child: answers each message in turn. A fault ends the process, which the parent then tells. */
export function answer<Asked>(react: (message: Asked) => Promise<object>): void {
  // Of a parent that was killed nobody else would tell it.
  process.once("disconnect", () => process.exit());
  process.on("message", (message: Asked) => {
    react(message).then(
      (said) => process.send?.(said),
      (error) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
