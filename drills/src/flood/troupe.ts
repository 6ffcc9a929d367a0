/** The processes of the flood, seen from the drill. */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Lane } from "@onsale/messaging";
import type { Sold } from "./sellers.ts";
import type { Heard } from "./subscriber.ts";

/** What can be asked of a process. */
export interface Deeds {
  readonly subscribe: { takes: { url: string }; gives: undefined };
  readonly "bulk-heard": { takes: undefined; gives: number };
  readonly "take-heard": { takes: undefined; gives: Heard };
  readonly unsubscribe: { takes: undefined; gives: undefined };
  readonly "begin-selling": { takes: { url: string; perSecond: number; name: string }; gives: undefined };
  readonly "end-selling": { takes: undefined; gives: Sold };
  readonly import: { takes: { url: string; lane: Lane; sales: number; name: string }; gives: undefined };
}

export type Deed = keyof Deeds;

const script = fileURLToPath(new URL("./flood-process.ts", import.meta.url));

/** Beside a load that takes all processors, helpers that collect garbage wait for one, and take it from others when they have it (decision 39). */
const flags = [...process.execArgv, "--single-threaded-gc"];

export class Player implements AsyncDisposable {
  readonly #child: ChildProcess = fork(script, {
    execArgv: flags,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  readonly #ended: Promise<void>;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  constructor() {
    this.#child.on("message", ({ id, gives }: { id: number; gives: unknown }) => this.#asked.get(id)?.resolve(gives));
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", () => {
        for (const { reject } of this.#asked.values())
          reject(new Error("A process of the flood ended before its time."));
        resolve();
      });
    });
  }

  async ask<Name extends Deed>(deed: Name, takes: Deeds[Name]["takes"]): Promise<Deeds[Name]["gives"]> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<unknown>();
    this.#asked.set(id, answer);
    this.#child.send({ id, deed, takes });
    try {
      return (await answer.promise) as Deeds[Name]["gives"];
    } finally {
      this.#asked.delete(id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}
