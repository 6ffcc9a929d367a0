/** What has not gone from the outboxes to Kafka yet: how much, how old, and how fast it grows. */

import type { Backlog, RunningRelay } from "@onsale/messaging/kafka";
import { defineGauge, defineGauges } from "@onsale/runtime";
import { telemetry } from "./telemetry.ts";

/** A relay by the service whose outbox it reads. */
export interface NamedRelay {
  readonly service: string;
  readonly relay: Pick<RunningRelay, "backlog" | "drain">;
}

export interface ServiceBacklog extends Backlog {
  readonly service: string;
  /** Events by which it became larger per second since the look before; negative where it shrinks. */
  readonly growthPerSecond: number;
}

/**
 * Positions of an outbox that may wait for Kafka before a person is called: about 1 GB of the database's disk, which is
 * the real bound, and a minute of catching up. The outbox takes more: a buyer is not refused for the broker's sake.
 */
export const backlogBound = 1_000_000;

/** Looks at what the relays have not relayed yet, and remembers the last look. */
export class BacklogWatch {
  readonly #relays: readonly NamedRelay[];
  #last: readonly ServiceBacklog[] = [];
  #lookedAt = performance.now();

  constructor(relays: readonly NamedRelay[]) {
    this.#relays = relays;
  }

  /** The last look's. */
  get backlogs(): readonly ServiceBacklog[] {
    return this.#last;
  }

  async look(): Promise<void> {
    const looks = await Promise.all(
      this.#relays.map(async ({ service, relay }) =>
        (await relay.backlog()).map((backlog) => ({ service, ...backlog })),
      ),
    );
    const now = performance.now();
    const seconds = Math.max(0.001, (now - this.#lookedAt) / 1_000);
    this.#lookedAt = now;
    const before = this.#last;
    this.#last = looks.flat().map((backlog) => {
      const events = eventsIn(before, backlog) ?? backlog.events;
      return { ...backlog, growthPerSecond: (backlog.events - events) / seconds };
    });
    for (const backlog of this.#last) tellCrossing(backlog, eventsIn(before, backlog) ?? 0);
  }
}

function tellCrossing(backlog: ServiceBacklog, before: number): void {
  if (backlog.events > backlogBound && before <= backlogBound) telemetry.backlogBeyondBound({ ...backlog });
  if (backlog.events <= backlogBound && before > backlogBound) telemetry.backlogWithinBound({ ...backlog });
}

const eventsIn = (
  backlogs: readonly ServiceBacklog[],
  { service, lane }: Pick<ServiceBacklog, "service" | "lane">,
): number | undefined => backlogs.find((backlog) => backlog.service === service && backlog.lane === lane)?.events;

/** What waits for Kafka, how fast it grows, and where the bound is, for whoever scrapes the metrics. */
export function defineBacklogGauges(watch: BacklogWatch): void {
  const perLane = (name: string, help: string, value: (backlog: ServiceBacklog) => number) =>
    defineGauges(name, help, ["service", "lane"], async () =>
      watch.backlogs.map((backlog) => ({
        labels: { service: backlog.service, lane: backlog.lane },
        value: value(backlog),
      })),
    );
  perLane("onsale_relay_backlog_events", "events that wait for Kafka", ({ events }) => events);
  perLane(
    "onsale_relay_backlog_growth_events_per_second",
    "by how much that grows; negative where it shrinks",
    ({ growthPerSecond }) => growthPerSecond,
  );
  perLane(
    "onsale_relay_backlog_oldest_age_seconds",
    "age of the oldest event that waits for Kafka",
    ({ oldestAgeMs }) => oldestAgeMs / 1_000,
  );
  defineGauge(
    "onsale_relay_backlog_bound_events",
    "a lane with more that wait than this calls a person",
    () => backlogBound,
  );
}
