/** Processes of our own code: what both sides of a fork owe each other. */

import type { ChildProcess } from "node:child_process";

/** In the forked process: does what each message of its parent asks for, and ends when the parent is gone, since nobody else would end it. */
export function followOrders<Order>(follow: (order: Order) => Promise<void>): void {
  process.on("message", (order: Order) => void follow(order));
  process.on("disconnect", () => process.exit());
  // Ctrl-C at a terminal reaches every process of it; the parent ends its own in its own order.
  process.on("SIGINT", () => undefined);
}

const living = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** In the parent: the child does not outlive a parent that ends by itself. */
export function killAtExit(child: ChildProcess): void {
  living.add(child);
  child.once("exit", () => living.delete(child));
}
