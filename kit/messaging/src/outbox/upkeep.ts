/** What an outbox needs done again and again, and how often. */

import type { Database } from "@onsale/postgres";
import { extendOutbox, retirePartitions, sealPartitions } from "./partitions.ts";

/** Work that recurs; a run that fails is tried again later and harms nothing. */
export interface OutboxChore {
  readonly name: "extend-outbox" | "seal-partitions" | "retire-partitions";
  readonly everyMs: number;
  run(): Promise<void>;
}

export interface UpkeepOptions {
  /** Seconds that a full partition is kept after every reader has passed it. Default: seven days. */
  readonly keepSeconds?: number;
  readonly partitionsMade?: (count: number) => void;
  readonly partitionsRetired?: (count: number) => void;
}

// Eight partitions of half a million events lie ready: at 20,000 events a second they last for three minutes.
const extendEveryMs = 5_000;
// A partition fills in half a minute at the very least.
const sealEveryMs = 30_000;
const retireEveryMs = 600_000;
// The longest time after which somebody restores a backup, or sends old events again, and needs them here.
const defaultKeepSeconds = 7 * 86_400;

/** The chores of one outbox. Several processes may do them at once; each is done by one of them at a time. */
export const outboxUpkeep = (
  database: Database,
  { keepSeconds = defaultKeepSeconds, partitionsMade, partitionsRetired }: UpkeepOptions = {},
): readonly OutboxChore[] => [
  {
    name: "extend-outbox",
    everyMs: extendEveryMs,
    async run() {
      const { made } = await extendOutbox(database);
      if (made > 0) partitionsMade?.(made);
    },
  },
  { name: "seal-partitions", everyMs: sealEveryMs, run: async () => void (await sealPartitions(database)) },
  {
    name: "retire-partitions",
    everyMs: retireEveryMs,
    async run() {
      const retired = await retirePartitions(database, keepSeconds);
      if (retired.length > 0) partitionsRetired?.(retired.length);
    },
  },
];
