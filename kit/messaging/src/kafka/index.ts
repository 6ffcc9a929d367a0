export { slotOf } from "../slot.ts";
export { type BegunLog, begunLog, type LogChoice, OtherLogError, whyOtherLog } from "./begun-log.ts";
export { KafkaCluster, type KafkaClusterOptions, KafkaTopicError, KafkaUnreachableError } from "./cluster.ts";
export { KafkaLog, type KafkaLogOptions } from "./kafka-log.ts";
export type { TopicPositions } from "./positions.ts";
export { type Backlog, defaultPartitions, type RelayOptions, type RunningRelay, startRelay } from "./relay.ts";
export { type KafkaTelemetry, silentKafkaTelemetry } from "./telemetry.ts";
export { topicPlaces } from "./topic-places.ts";
