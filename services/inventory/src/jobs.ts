import type { Job } from "@onsale/runtime";
import { callForCompensations } from "@onsale/saga";
import { compensations } from "./compensations.ts";
import { expireHolds } from "./expire-holds.ts";
import type { InventoryPorts } from "./ports.ts";

// Some hundred short row locks at a time: a transaction of a few milliseconds, so that no buyer's batch waits for it.
const expiryBatch = 200;

export const jobs: readonly Job<InventoryPorts>[] = [
  {
    name: "inventory.expire-holds",
    // Holds live for minutes; five seconds more on a shelf that is sold out is what a forgotten order may cost.
    everyMs: 5_000,
    async run({ database, ports }, signal) {
      let expired: number;
      do expired = await database.transaction((tx) => expireHolds(tx, ports, expiryBatch));
      while (expired === expiryBatch && !signal.aborted);
    },
  },
  {
    name: "inventory.call-for-compensations",
    // An event is tried for minutes before it is given up, and a person comes later still; an empty look is two index probes.
    everyMs: 10_000,
    async run({ database, ports }) {
      await database.transaction((tx) =>
        callForCompensations(tx, { reader: "inventory", compensations, ids: ports.ids }),
      );
    },
  },
];
