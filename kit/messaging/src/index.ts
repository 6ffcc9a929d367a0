export {
  type BasePorts,
  type BatchConsumer,
  type CallOrder,
  type Consumer,
  consumer,
  type EachConsumer,
  type Prepared,
  type Settled,
} from "./consumers/consumer.ts";
export { type Feeds, type FeedsOptions, type RunningFeeds, startFeeds } from "./consumers/feeds.ts";
export { claimFresh } from "./consumers/inbox.ts";
export { LaneGate } from "./consumers/lane-gate.ts";
export {
  beginAt,
  exportState,
  type JoinableLog,
  ReaderHasBegunError,
  type StartingPoint,
} from "./consumers/starting-point.ts";
export { type AsyncApiOptions, asyncApi } from "./events/async-api.ts";
export {
  attributesOf,
  type CloudEvent,
  type CloudEventAttributes,
  type Envelope,
  type Foreign,
  type ForeignCause,
  fromKafkaRecord,
  isForeign,
  type KafkaRecord,
  kafkaHeaders,
  type ReceivedRecord,
  schemaUri,
  toCloudEvent,
  toKafkaRecord,
} from "./events/cloud-event.ts";
export {
  aggregateOf,
  type Cause,
  type Compatibility,
  causedBy,
  type DataOf,
  type Delivered,
  defineEvent,
  type EventDefinition,
  fact,
  type Lane,
  lanes,
  noteUnfitSamples,
  type OutgoingEvent,
} from "./events/event.ts";
export { type Break, type FrozenEvent, type FrozenShape, freeze, type Hearer, judge } from "./events/frozen.ts";
export { UpcastError, type Upcaster, upcast, upcastData, upcastTo, withEarlierVersions } from "./events/upcast.ts";
export { type Hop, type HopDurations, HopReport, type HopRow, hops } from "./hops.ts";
export type { Chunk, Cursor, CursorMove, CursorStore, Log, LogReader, Moved, ReadEvent } from "./log.ts";
export {
  type ApplicationTelemetry,
  type ConsumeOptions,
  type Messaging,
  type MessagingOptions,
  migrations,
  openMessaging,
} from "./messaging.ts";
export { publishInBulk } from "./outbox/bulk.ts";
export { Lookout, readerRole } from "./outbox/lookout.ts";
export { OutboxLog, type OutboxLogOptions } from "./outbox/outbox-log.ts";
export { type OutboxRow, outboxColumns, outboxRow, toDelivered } from "./outbox/outbox-row.ts";
export { extendOutbox, retirePartitions, sealPartitions } from "./outbox/partitions.ts";
export { bulkRowCap, EventRefusedError, publish } from "./outbox/publish.ts";
export { NothingChangedError, type SqlClient } from "./outbox/publish-with.ts";
export { type OutboxChore, outboxUpkeep, type UpkeepOptions } from "./outbox/upkeep.ts";
export { type FeedName, type MessagingTelemetry, silentTelemetry } from "./telemetry.ts";
export { type OutboxLogTelemetry, type SlotTrouble, silentLogTelemetry } from "./wal/wal-telemetry.ts";
