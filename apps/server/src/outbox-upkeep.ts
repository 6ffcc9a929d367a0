import { extendOutbox, retirePartitions, sealPartitions } from "@onsale/messaging";
import type { Database } from "@onsale/postgres";
import type { RecurringWork } from "@onsale/runtime";
import { telemetry } from "./telemetry.ts";

// Eight partitions of half a million events lie ready: at 20,000 events a second they last for three minutes.
const extendEveryMs = 5_000;
// A partition fills in half a minute at the very least.
const sealEveryMs = 30_000;
const retireEveryMs = 600_000;
// The longest time after which somebody restores a backup, or sends old events again, and needs them here.
const keepSeconds = 7 * 86_400;

/** The recurring work on one service's outbox. */
export const outboxUpkeep = (service: string, database: Database): RecurringWork[] => [
  { name: `${service}.extend-outbox`, everyMs: extendEveryMs, run: () => makePartitions(service, database) },
  { name: `${service}.seal-partitions`, everyMs: sealEveryMs, run: async () => void (await sealPartitions(database)) },
  { name: `${service}.retire-partitions`, everyMs: retireEveryMs, run: () => retire(service, database) },
];

async function makePartitions(service: string, database: Database): Promise<void> {
  const { made } = await extendOutbox(database);
  if (made > 0) telemetry.partitionsMade({ service, count: made });
}

async function retire(service: string, database: Database): Promise<void> {
  const retired = await retirePartitions(database, keepSeconds);
  if (retired.length > 0) telemetry.partitionsRetired({ service, count: retired.length });
}
