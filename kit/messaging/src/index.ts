export { type BasePorts, type BatchConsumer, type Consumer, consumer, type EachConsumer, type Prepared, type Settled } from "./consumer.ts";
export { type Cause, causedBy, type DataOf, defineEvent, type Delivered, type EventDefinition, fact, type Lane, lanes, type OutgoingEvent } from "./event.ts";
export type { Feeds } from "./feeds.ts";
export { publish } from "./publish.ts";
