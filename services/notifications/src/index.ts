export type { MessageSender, OutgoingMessage } from "./sender.ts";
export { notifications } from "./service.ts";
export type { NotificationPorts } from "./tell-order-confirmed.ts";
