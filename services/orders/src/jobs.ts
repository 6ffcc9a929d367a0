import { forgetOldKeys, spentKeys } from "@onsale/http";
import type { Job } from "@onsale/runtime";
import { callForCompensations } from "@onsale/saga";
import { compensations } from "./compensations.ts";
import { endOverdueOrders } from "./end-overdue-orders.ts";
import { lapseReturns } from "./lapse-returns.ts";
import type { OrderPorts } from "./ports.ts";

export const jobs: readonly Job<OrderPorts>[] = [
  {
    name: "orders.end-overdue",
    // A hundredth of the shortest bound.
    everyMs: 1_000,
    run: ({ database, ports }, signal) => endOverdueOrders(database, ports, signal),
  },
  {
    name: "orders.lapse-returns",
    // A return waits for days; an empty look is one index probe.
    everyMs: 10_000,
    run: ({ database, ports }, signal) => lapseReturns(database, ports, signal),
  },
  {
    name: "orders.restore-gate-memory",
    // Until it is restored each refusal at the gate costs a look into the database.
    everyMs: 1_000,
    async run({ database, ports }) {
      await ports.gate?.restoreMemory(() => spentKeys(database));
    },
  },
  {
    name: "orders.forget-old-keys",
    everyMs: 60_000,
    async run({ database }, signal) {
      while (!signal.aborted && (await forgetOldKeys(database)) > 0);
    },
  },
  {
    name: "orders.call-for-compensations",
    // An event is tried for minutes before it is given up, and a person comes later still; an empty look is two index probes.
    everyMs: 10_000,
    async run({ database, ports }) {
      await database.transaction((tx) => callForCompensations(tx, { reader: "orders", compensations, ids: ports.ids }));
    },
  },
];
