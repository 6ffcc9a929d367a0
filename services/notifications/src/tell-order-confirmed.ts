import type { orderConfirmed } from "@onsale/contracts/orders";
import type { BasePorts, Delivered, Prepared } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { confirmedMessage } from "./message.ts";
import type { MessageSender, OutgoingMessage } from "./sender.ts";
import { beginAttempts, markSent } from "./store/message.ts";
import { telemetry } from "./telemetry.ts";

export interface NotificationPorts extends BasePorts {
  readonly sender: MessageSender;
}

/** Writes down what is to be told before it is told; a message that was sent in an earlier attempt is no work any more. */
export async function prepareMessages(
  tx: Transaction,
  events: readonly Delivered<typeof orderConfirmed>[],
  { sender }: NotificationPorts,
): Promise<Prepared<OutgoingMessage>[]> {
  const messages = events.map(({ id, data }) => ({ id, orderId: data.orderId, body: confirmedMessage(data) }));
  const pending = await beginAttempts(tx, { messages, kind: "order-confirmed", channel: sender.channel });
  return pending.map(({ id, body }) => ({ eventId: id, work: { id, body } }));
}

export async function sendMessage(
  message: OutgoingMessage,
  { sender }: NotificationPorts,
  signal: AbortSignal,
): Promise<void> {
  try {
    await sender.send(message, signal);
  } catch (error) {
    telemetry.messageNotTaken({ channel: sender.channel, messageId: message.id, error });
    throw error;
  }
}

export async function settleMessages(
  tx: Transaction,
  settled: readonly { readonly work: OutgoingMessage }[],
  { sender }: NotificationPorts,
): Promise<void> {
  await markSent(
    tx,
    settled.map(({ work }) => work.id),
  );
  tx.afterCommit(() => telemetry.messageSent({ channel: sender.channel, count: settled.length }));
}
