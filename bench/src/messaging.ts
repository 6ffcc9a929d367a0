/** `onsale bench messaging`: the messaging kit beside its limits and its peers, on a PostgreSQL and a Kafka of its own. */

import { type Ground, openGround } from "./messaging/ground.ts";
import { benchLog } from "./messaging/log-latency.ts";
import { benchOutboxCost } from "./messaging/outbox-cost.ts";
import type { PartOptions, PartReport } from "./messaging/part.ts";
import { benchPgoutput } from "./messaging/pgoutput.ts";
import { readSettings, withClient } from "./plain-order.ts";
import { type BenchReport, machine } from "./report.ts";

/** What can be measured by itself. */
export const messagingParts = ["outbox", "log", "pgoutput"] as const;
export type MessagingPart = (typeof messagingParts)[number];

export interface MessagingBenchOptions extends PartOptions {
  /** Where data lie meanwhile; removed at the end. Not on a memory disk: durability is part of what is measured. */
  readonly directory: string;
  readonly parts: readonly MessagingPart[];
}

export async function benchMessaging({ directory, parts, ...options }: MessagingBenchOptions): Promise<BenchReport> {
  await using ground = await openGround(directory);
  const settings = await withClient(ground.url, readSettings);
  const reports: Partial<Record<MessagingPart, PartReport>> = {};
  for (const part of parts) {
    options.goOn();
    reports[part] = await measures[part](ground, options);
  }
  const measured = Object.entries(reports);
  return {
    name: "messaging",
    machine: machine(),
    rows: measured.flatMap(([, { rows }]) => rows),
    details: { ...Object.fromEntries(measured.map(([part, { details }]) => [part, details])), settings },
  };
}

const measures: Readonly<Record<MessagingPart, (ground: Ground, options: PartOptions) => Promise<PartReport>>> = {
  outbox: benchOutboxCost,
  log: benchLog,
  pgoutput: benchPgoutput,
};
