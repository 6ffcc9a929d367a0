/** The shop's server as the product composes it, with faults around its consumers; a process of its own, so that it can be killed. */

import { enableCompileCache } from "node:module";
import { followOrders } from "@onsale/child-process";
import type { Answer, Order, ServerOptions } from "./arms.ts";

// The drill starts it some hundred times; what the first has compiled the others need not.
enableCompileCache();
const [{ openLogger }, { compose }, { serve }, { eagerAsking }, { Sabotage }] = await Promise.all([
  import("@onsale/runtime"),
  import("@onsale/server"),
  import("../../serve.ts"),
  import("@onsale/payments/ports"),
  import("./sabotage.ts"),
]);

// Who is killed here is followed by its own replacement, which should not have to wait.
const leaseMs = 600;

let sabotage: InstanceType<typeof Sabotage> | undefined;
let server: Awaited<ReturnType<typeof serve>> | undefined;

async function open({ bounds, journal, logFile, ...options }: ServerOptions): Promise<void> {
  const faults = new Sabotage({ journal, heldBackMs: bounds.heldBackMs });
  sabotage = faults;
  const { logger } = await openLogger({ level: "warn", file: logFile });
  server = await serve({
    ...options,
    ...{ version: "0", logger, asking: eagerAsking, anomalies: {}, messages: {} },
    ...{ redis: undefined, shopUrl: undefined, trustedProxies: undefined },
    compose(wiring) {
      const { retry, stepTimeoutsMs } = bounds;
      const composition = compose({
        ...wiring,
        ...{ stepTimeoutsMs, feedBounds: { retry, leaseMs }, arrange: faults.arrange },
      });
      const services = composition.services.map((service) => ({
        ...service,
        startFeeds: (database, log) => service.startFeeds(database, faults.log(log)),
      })) satisfies typeof composition.services;
      return { services, close: () => composition.close() };
    },
  });
}

async function follow(order: Order): Promise<void> {
  switch (order.do) {
    case "open":
      await open(order.options);
      return say({ said: "opened" });
    case "arm":
      sabotage?.arm(order.arms);
      return say({ said: "armed" });
    case "mend":
      sabotage?.mend();
      return say({ said: "mended" });
    case "close":
      await server?.stop("this part of the drill is over");
      return say({ said: "closed" });
    default:
      order satisfies never;
  }
}

function say(answer: Answer): void {
  process.send?.(answer);
}

followOrders(follow);
say({ said: "ready" });
