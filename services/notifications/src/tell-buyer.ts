import type { OrderId } from "@onsale/contracts/ids";
import type {
  orderCancelled,
  orderConfirmed,
  orderRejected,
  orderReturned,
  orderReturnLapsed,
  orderReturnRefused,
  orderReturnRequested,
} from "@onsale/contracts/orders";
import type { Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type Content, destinationOf, type PersonalChannel } from "./message.ts";
import type { NotificationPorts } from "./ports.ts";
import { buyersOf, insertMessages } from "./store/message.ts";
import { type Recipient, readRecipients } from "./store/recipient.ts";

export type OrderNews =
  | Delivered<typeof orderConfirmed>
  | Delivered<typeof orderRejected>
  | Delivered<typeof orderCancelled>
  | Delivered<typeof orderReturned>
  | Delivered<typeof orderReturnRequested>
  | Delivered<typeof orderReturnRefused>
  | Delivered<typeof orderReturnLapsed>;

/** Tells buyers what became of their orders, by the channels that they chose. Whoever chose none is told nothing. */
export async function tellBuyer(
  tx: Transaction,
  events: readonly OrderNews[],
  { ids, senders }: NotificationPorts,
): Promise<void> {
  const buyers = await buyersOf(tx, events.flatMap(orderWithUnknownBuyer));
  const news = events.flatMap((event) => {
    const buyerId = "buyerId" in event.data ? event.data.buyerId : buyers.get(event.data.orderId);
    return buyerId === undefined ? [] : [{ event, buyerId, ...toContent(event) }];
  });
  const recipients = await readRecipients(tx, [...new Set(news.map(({ buyerId }) => buyerId))]);
  await insertMessages(
    tx,
    news.flatMap(({ event, buyerId, about, content }) => {
      const recipient = recipients.get(buyerId);
      return chosen(content, recipient)
        .filter((channel) => senders[channel] !== undefined)
        .map((channel) => ({
          ...content,
          ...{ id: ids.uuid(), channel, about, recipientId: buyerId, orderId: event.data.orderId, buyerId },
          ...{ eventId: event.id, language: recipient?.language ?? "en", status: "pending" as const },
        }));
    }),
  );
}

const orderWithUnknownBuyer = ({ data }: OrderNews): OrderId[] => ("buyerId" in data ? [] : [data.orderId]);

const personal: readonly PersonalChannel[] = ["mail", "push"];

const chosen = ({ kind }: Content, recipient: Recipient | undefined): readonly PersonalChannel[] =>
  personal.filter((channel) => destinationOf({ kind, channel }, recipient).kind === "person");

/** What an event is to its buyer, and what it is about: an order has one end, but many returns. */
function toContent({ type, data }: OrderNews): { readonly about: string; readonly content: Content } {
  const { orderId } = data;
  switch (type) {
    case "order.confirmed.v1": {
      const { totalMinor, currency, lineCount } = data;
      return {
        about: orderId,
        content: { kind: "order-confirmed", facts: { orderId, totalMinor, currency, lineCount } },
      };
    }
    case "order.rejected.v1":
      return { about: orderId, content: { kind: "order-rejected", facts: { orderId, reason: data.reason } } };
    case "order.cancelled.v1":
      return { about: orderId, content: { kind: "order-cancelled", facts: { orderId, reason: data.reason } } };
    case "order.returned.v1": {
      const { returnId, refundMinor, pointsMinor, currency } = data;
      const units = unitsOf(data.lines);
      return {
        about: returnId,
        content: { kind: "order-returned", facts: { orderId, refundMinor, pointsMinor, currency, units } },
      };
    }
    case "order.return-requested.v1": {
      const facts = { orderId, units: unitsOf(data.lines), lapsesAt: data.lapsesAt };
      return { about: data.returnId, content: { kind: "return-requested", facts } };
    }
    case "order.return-refused.v1":
      return {
        about: data.returnId,
        content: { kind: "return-refused", facts: { orderId, units: unitsOf(data.lines) } },
      };
    case "order.return-lapsed.v1":
      return { about: data.returnId, content: { kind: "return-lapsed", facts: { orderId, reason: data.reason } } };
    default:
      return type satisfies never;
  }
}

const unitsOf = (lines: readonly { readonly units: number }[]): number =>
  lines.reduce((sum, { units }) => sum + units, 0);
