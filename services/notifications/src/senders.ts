/** What a composition gives the service to send with. */

export { chatSender } from "./chat-sender.ts";
export { type MailOptions, mailSender } from "./mail-sender.ts";
export { type PushOptions, pushSender } from "./push-sender.ts";
export { type MessageSender, NotTakenError, type OutgoingMessage, type Senders } from "./sender.ts";
