/** A process of a drill: waits for its assignment, works, and dies when and where it is told to. */

import { enableCompileCache } from "node:module";
import { followOrders } from "@onsale/child-process";
import type { Answer, Assignment, Order } from "./assignment.ts";
import type { Work } from "./work.ts";

// A drill starts hundreds of processes; what the first has compiled the others need not, which halves the time to start.
enableCompileCache();
const [{ startConsumer }, { startWriter }, { startRelaying }, { Mortality }] = await Promise.all([
  import("./consumer.ts"),
  import("./writer.ts"),
  import("./relay.ts"),
  import("./kill-points.ts"),
]);

const mortality = new Mortality();
let work: Work | undefined;

function start(assignment: Assignment): Work {
  mortality.ordain(assignment.death);
  switch (assignment.role) {
    case "writer":
      return startWriter(assignment, mortality);
    case "consumer":
      return startConsumer(assignment, mortality, say);
    case "relay":
      return startRelaying(assignment, mortality, say);
  }
}

async function follow(order: Order): Promise<void> {
  switch (order.do) {
    case "work":
      work = start(order.assignment);
      return say({ said: "working" });
    case "die":
      return mortality.ordain(order.death ?? undefined);
    case "finish":
      await work?.finish(order.changes ?? 0);
      work = undefined;
      return say({ said: "finished" });
    default:
      order satisfies never;
  }
}

function say(answer: Answer): void {
  process.send?.(answer);
}

followOrders(follow);
say({ said: "ready" });
