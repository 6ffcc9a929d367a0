/** The places at which a process may die, and the dying itself. */

import { writeSync } from "node:fs";

/** By the process that dies there. `any-moment` is not a place: somebody else kills the process, wherever it is. */
export const killPoints = {
  writer: ["writer.row-locked", "writer.before-commit", "writer.after-commit", "writer.any-moment"],
  consumer: [
    "batch.chunk-read",
    "batch.before-commit",
    "batch.after-commit",
    "each.before-call",
    "each.after-call",
    "each.before-commit",
    "each.after-commit",
    "consumer.take-over",
    "consumer.frozen",
    "consumer.any-moment",
  ],
  // Only where events go through Kafka.
  relay: ["relay.read", "relay.appended", "relay.saved", "relay.any-moment"],
} as const;

export type Role = keyof typeof killPoints;
export type KillPoint = (typeof killPoints)[Role][number];

const roleOfPoint = new Map(
  Object.entries(killPoints).flatMap(([role, points]) => points.map((point) => [point, role as Role] as const)),
);

export function roleAt(point: KillPoint): Role {
  const role = roleOfPoint.get(point);
  if (!role) throw new Error(`Nobody dies at ${point}.`);
  return role;
}

/** To die at the `pass`-th time, from 1, that a point is passed from now on; or to be frozen there until somebody thaws it. */
export interface Death {
  readonly point: KillPoint;
  readonly pass: number;
  readonly how: "SIGKILL" | "SIGSTOP";
}

/** What a dying process says with its last breath, on standard output. */
export const lastWords = /^dies at (\S+)$/;

/** Carried along by everything that a process does. */
export class Mortality {
  #death: Death | undefined;
  #passed = 0;

  ordain(death: Death | undefined): void {
    this.#death = death;
    this.#passed = 0;
  }

  /** The process is at this point; it may not come back. */
  pass(point: KillPoint): void {
    if (this.#death?.point !== point || ++this.#passed < this.#death.pass) return;
    const { how } = this.#death;
    this.#death = undefined;
    // Written at once: nothing asynchronous happens any more.
    writeSync(1, `dies at ${point}\n`);
    process.kill(process.pid, how);
  }
}
