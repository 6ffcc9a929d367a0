import type { orderConfirmed } from "@onsale/contracts/orders";
import type { Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import type { NotificationPorts } from "./ports.ts";
import { insertMessages } from "./store/message.ts";

/**
 * Tells the shop's own people that an order is paid and secured. The message names no person: a chat keeps what it was
 * told for ever.
 */
export async function tellShop(
  tx: Transaction,
  events: readonly Delivered<typeof orderConfirmed>[],
  { ids, senders }: NotificationPorts,
): Promise<void> {
  const status = senders.chat === undefined ? "kept" : "pending";
  await insertMessages(
    tx,
    events.map(({ id: eventId, data: { orderId, buyerId, totalMinor, currency, lineCount } }) => ({
      ...{ id: ids.uuid(), kind: "order-confirmed", channel: "chat", about: orderId, recipientId: null },
      ...{ orderId, buyerId, eventId, language: "en", facts: { orderId, totalMinor, currency, lineCount }, status },
    })),
  );
}
