import { outboxUpkeep as choresOf } from "@onsale/messaging";
import type { Database } from "@onsale/postgres";
import type { RecurringWork } from "@onsale/runtime";
import { telemetry } from "./telemetry.ts";

/** The recurring work on one service's outbox. */
export const outboxUpkeep = (service: string, database: Database): RecurringWork[] =>
  choresOf(database, {
    partitionsMade: (count) => telemetry.partitionsMade({ service, count }),
    partitionsRetired: (count) => telemetry.partitionsRetired({ service, count }),
  }).map(({ name, everyMs, run }) => ({ name: `${service}.${name}`, everyMs, run }));
