import type { AnsweredRequest } from "@onsale/http";
import type { MessagingTelemetry } from "@onsale/messaging";
import type { KafkaTelemetry } from "@onsale/messaging/kafka";
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
const toldAnew = defineFact("restored producer does not know what was heard of it", {
  counter: "onsale_keys_told_anew_total",
  labels: feedLabels,
  level: "error",
});
const passedOver = defineFact("event set aside that passes for a repetition and is none", {
  counter: "onsale_events_passed_over_total",
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
  toldAnew: (fact) => toldAnew({ ...fact }),
  passedOver: (fact) => passedOver({ ...fact }),
  fenced: (fact) => fenced({ ...fact }),
  interrupted: (fact) => interrupted({ ...fact }),
};

const relayLabels = ["source", "lane"] as const;

const relayed = defineFact("events relayed", { counter: "onsale_events_relayed_total", labels: relayLabels });
const relaySeconds = defineDuration("onsale_relay_seconds", "how long Kafka took to acknowledge a batch", relayLabels);
const relayedAgeSeconds = defineDuration(
  "onsale_relayed_age_seconds",
  "from the publishing of a batch's oldest event to Kafka's acknowledgement",
  relayLabels,
);
const topicMade = defineFact("topic made", { level: "info" });
const tailLost = defineFact("Kafka lost the end of a topic, which is written again from the outbox", {
  counter: "onsale_kafka_tails_lost_total",
  labels: relayLabels,
  level: "error",
});
const readerSetBack = defineFact("reader goes on where Kafka still has records", {
  counter: "onsale_kafka_readers_set_back_total",
  labels: ["reader"],
  level: "warn",
});
const foreignRecord = defineFact("foreign record set aside", {
  counter: "onsale_kafka_foreign_records_total",
  labels: [...feedLabels, "cause"],
  level: "error",
});
const brokerLost = defineFact("Kafka lost by a reader", {
  counter: "onsale_kafka_lost_total",
  labels: ["reader"],
  level: "warn",
});
const brokerBack = defineFact("Kafka back for a reader", { level: "info" });
const offsetsNotCommitted = defineFact("offsets not shown in Kafka", {
  counter: "onsale_kafka_offsets_not_committed_total",
  labels: ["reader"],
});

/** What relays and readers of Kafka tell, as facts of this process. */
export const kafkaTelemetry: KafkaTelemetry = {
  appended({ events, milliseconds, oldestAgeMs, source, lane }) {
    relayed({ source, lane, count: events, milliseconds });
    relaySeconds(milliseconds, { source, lane });
    relayedAgeSeconds(oldestAgeMs, { source, lane });
  },
  topicMade: (fact) => topicMade({ ...fact }),
  tailLost: (fact) => tailLost({ ...fact }),
  readerSetBack: (fact) => readerSetBack({ ...fact }),
  foreignRecord: (fact) => foreignRecord({ ...fact }),
  brokerLost: (fact) => brokerLost({ ...fact }),
  brokerBack: (fact) => brokerBack({ ...fact }),
  offsetsNotCommitted: (fact) => offsetsNotCommitted({ ...fact }),
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
  kafkaLost: defineFact("Kafka lost", { counter: "onsale_kafka_outages_total", level: "warn" }),
  kafkaBack: defineFact("Kafka back", { level: "info" }),
  backlogBeyondBound: defineFact("more events wait for Kafka than should", {
    counter: "onsale_relay_backlog_beyond_bound_total",
    labels: ["service", "lane"],
    level: "error",
  }),
  backlogWithinBound: defineFact("events that wait for Kafka are few again", { level: "info" }),
};
