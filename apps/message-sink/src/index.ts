export type { CaughtMessage } from "./caught-messages.ts";
export { type MessageSink, startMessageSink } from "./message-sink.ts";
