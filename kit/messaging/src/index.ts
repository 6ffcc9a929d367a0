export { type AsyncApiOptions, asyncApi } from "./async-api.ts";
export { publishInBulk } from "./bulk.ts";
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
} from "./cloud-event.ts";
export {
  type BasePorts,
  type BatchConsumer,
  type Consumer,
  consumer,
  type EachConsumer,
  type Prepared,
  type Settled,
} from "./consumer.ts";
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
} from "./event.ts";
export { type Feeds, type FeedsOptions, type RunningFeeds, startFeeds } from "./feeds.ts";
export { type Break, type FrozenEvent, type FrozenShape, freeze, type Hearer, judge } from "./frozen.ts";
export { type Hop, type HopDurations, HopReport, type HopRow, hops } from "./hops.ts";
export { claimFresh } from "./inbox.ts";
export { LaneGate } from "./lane-gate.ts";
export type { Chunk, Cursor, CursorMove, CursorStore, Log, LogReader, Moved, ReadEvent } from "./log.ts";
export { Lookout, readerRole } from "./lookout.ts";
export {
  type ApplicationTelemetry,
  type ConsumeOptions,
  type Messaging,
  type MessagingOptions,
  migrations,
  openMessaging,
} from "./messaging.ts";
export { extendOutbox, retirePartitions, sealPartitions } from "./outbox.ts";
export { OutboxLog, type OutboxLogOptions } from "./outbox-log.ts";
export { type OutboxRow, outboxColumns, outboxRow, toDelivered } from "./outbox-row.ts";
export { bulkRowCap, EventRefusedError, publish } from "./publish.ts";
export { NothingChangedError, type SqlClient } from "./publish-with.ts";
export { beginAt, exportState, type JoinableLog, ReaderHasBegunError, type StartingPoint } from "./starting-point.ts";
export { type FeedName, type MessagingTelemetry, silentTelemetry } from "./telemetry.ts";
export { UpcastError, type Upcaster, upcast, upcastData, upcastTo, withEarlierVersions } from "./upcast.ts";
export { type OutboxChore, outboxUpkeep, type UpkeepOptions } from "./upkeep.ts";
export { type OutboxLogTelemetry, type SlotTrouble, silentLogTelemetry } from "./wal/wal-telemetry.ts";
