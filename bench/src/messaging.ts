/** `onsale bench messaging`: the messaging kit beside its limits and its peers, on a PostgreSQL and a Kafka of its own. */

import { whatIsMissing } from "@onsale/kafka-server";
import { benchDebezium } from "./messaging/debezium.ts";
import { type Ground, openGround } from "./messaging/ground.ts";
import { benchLog } from "./messaging/log-latency.ts";
import { benchOutboxCost } from "./messaging/outbox-cost.ts";
import { benchParallelConsumer, whatParallelConsumerLacks } from "./messaging/parallel-consumer.ts";
import type { PartOptions, PartReport } from "./messaging/part.ts";
import { benchPgoutput } from "./messaging/pgoutput.ts";
import { readSettings, withClient } from "./plain-order.ts";
import { type BenchReport, machine } from "./report.ts";

/** What can be measured by itself. */
export const messagingParts = ["outbox", "log", "pgoutput", "debezium", "parallel-consumer"] as const;
export type MessagingPart = (typeof messagingParts)[number];

export interface MessagingBenchOptions extends PartOptions {
  /** Where data lie meanwhile; removed at the end. Not on a memory disk: durability is part of what is measured. */
  readonly directory: string;
  /** Where the jars of peers lie, or are fetched to from Maven Central. */
  readonly jars: string;
  readonly parts: readonly MessagingPart[];
}

/** Parts whose peers are not on this machine are told by name, and their rows are absent. */
export async function benchMessaging({
  directory,
  jars,
  parts,
  ...options
}: MessagingBenchOptions): Promise<BenchReport> {
  await using ground = await openGround(directory, jars);
  const settings = await withClient(ground.url, readSettings);
  const reports: Partial<Record<MessagingPart, PartReport>> = {};
  const absent: Record<string, string> = {};
  for (const part of parts) {
    options.goOn();
    const { rows, whatIsAbsent, measure } = measures[part];
    const missing = await whatIsAbsent?.(jars);
    if (missing === undefined) reports[part] = await measure(ground, options);
    else for (const row of rows) absent[row] = missing;
  }
  for (const [row, missing] of Object.entries(absent)) options.say(`SKIPPED: ${row}. ${missing}`);
  const measured = Object.entries(reports);
  return {
    name: "messaging",
    machine: machine(),
    rows: measured.flatMap(([, { rows }]) => rows),
    details: { ...Object.fromEntries(measured.map(([part, { details }]) => [part, details])), absent, settings },
  };
}

interface Measure {
  readonly rows: readonly string[];
  /** What it needs and this machine lacks, in a sentence. */
  readonly whatIsAbsent?: (jars: string) => Promise<string | undefined>;
  readonly measure: (ground: Ground, options: PartOptions) => Promise<PartReport>;
}

const measures: Readonly<Record<MessagingPart, Measure>> = {
  outbox: { rows: ["outbox cost"], measure: benchOutboxCost },
  log: { rows: ["log p50", "log p99"], measure: benchLog },
  pgoutput: { rows: ["pgoutput"], measure: benchPgoutput },
  debezium: {
    rows: ["Debezium rate", "Debezium p50", "Debezium p99"],
    whatIsAbsent: (jars) => whatIsMissing(jars, ["kafka", "connect", "debezium"]),
    measure: benchDebezium,
  },
  "parallel-consumer": {
    rows: ["Parallel Consumer", "key parallel"],
    whatIsAbsent: whatParallelConsumerLacks,
    measure: benchParallelConsumer,
  },
};
