export type { NotificationPorts } from "./ports.ts";
export type { MessageSender, OutgoingMessage, Senders } from "./sender.ts";
export { notifications } from "./service.ts";
