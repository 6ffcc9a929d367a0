import type { AnsweredRequest } from "@onsale/http";
import type { MessagingTelemetry } from "@onsale/messaging";
import { defineDuration, defineFact } from "@onsale/runtime";

const feedLabels = ["reader", "source", "lane"] as const;

const eventsApplied = defineFact("events applied", { counter: "onsale_events_applied_total", labels: feedLabels });
const batchSeconds = defineDuration("onsale_batch_seconds", "how long one batch of a consumer took", feedLabels);
const eventAgeSeconds = defineDuration(
  "onsale_event_age_seconds",
  "from the publishing of a batch's oldest event to its commit",
  feedLabels,
);
const hopSeconds = defineDuration(
  "onsale_event_hop_seconds",
  "what each hop between an event's insert and its effect took, of a batch's oldest event",
  [...feedLabels, "hop"],
);
const keyParked = defineFact("key parked", {
  counter: "onsale_keys_parked_total",
  labels: [...feedLabels, "type"],
  level: "warn",
});
const keyRecovered = defineFact("key recovered", {
  counter: "onsale_keys_recovered_total",
  labels: feedLabels,
  level: "info",
});
const keyDead = defineFact("key needs a person", {
  counter: "onsale_keys_dead_total",
  labels: [...feedLabels, "type"],
  level: "error",
});
const fenced = defineFact("feed taken over by another process", {
  counter: "onsale_feeds_fenced_total",
  labels: feedLabels,
  level: "info",
});
const interrupted = defineFact("feed interrupted", {
  counter: "onsale_feeds_interrupted_total",
  labels: feedLabels,
  level: "warn",
});

/** What the feeds tell, as facts of this process. */
export const messagingTelemetry: MessagingTelemetry = {
  batchApplied({ events, milliseconds, oldestAgeMs, hops, ...feed }) {
    eventsApplied({ ...feed, count: events, milliseconds });
    const { reader, source, lane } = feed;
    batchSeconds(milliseconds, { reader, source, lane });
    eventAgeSeconds(oldestAgeMs, { reader, source, lane });
    for (const [hop, hopMs] of Object.entries(hops)) hopSeconds(hopMs, { reader, source, lane, hop });
  },
  keyParked: (fact) => keyParked({ ...fact }),
  keyRecovered: (fact) => keyRecovered({ ...fact }),
  keyDead: (fact) => keyDead({ ...fact }),
  fenced: (fact) => fenced({ ...fact }),
  interrupted: (fact) => interrupted({ ...fact }),
};

const requestSeconds = defineDuration("onsale_http_request_seconds", "how long one answer took", [
  "method",
  "route",
  "status",
]);

export const tellAnswered = ({ method, route, status, seconds }: AnsweredRequest): void =>
  requestSeconds(seconds * 1_000, { method, route: route ?? "none", status: String(status) });

export const telemetry = {
  migrated: defineFact("database migrated", { level: "info" }),
  partitionsMade: defineFact("outbox partitions made", {
    counter: "onsale_outbox_partitions_made_total",
    labels: ["service"],
    level: "debug",
  }),
  partitionsRetired: defineFact("outbox partitions emptied", {
    counter: "onsale_outbox_partitions_retired_total",
    labels: ["service"],
    level: "info",
  }),
  feedsAbandoned: defineFact("feeds left something under way", {
    counter: "onsale_feeds_abandoned_total",
    labels: ["service"],
    level: "warn",
  }),
  databaseLost: defineFact("database lost", { counter: "onsale_database_lost_total", level: "warn" }),
  databaseBack: defineFact("database back", { level: "info" }),
};
