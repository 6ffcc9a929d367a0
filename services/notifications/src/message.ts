import type { OrderEndReason, ReturnLapse } from "@onsale/contracts/orders";
import type { Static } from "typebox";

/** The ways out of the house. A chat is the shop's own; mail and push go to a person. */
export type Channel = "chat" | "mail" | "push";
export const channels: readonly Channel[] = ["chat", "mail", "push"];

/** The channels that a person can choose. */
export type PersonalChannel = "mail" | "push";

interface OfOrder {
  readonly orderId: string;
}

interface Ended extends OfOrder {
  readonly reason: Static<typeof OrderEndReason>;
}

/** What a bulk message says in one language. */
export interface NewsText {
  readonly title: string;
  readonly text: string;
}

/** What each kind of message is made of. */
export interface FactsOf {
  readonly "order-confirmed": OfOrder & {
    readonly totalMinor: number;
    readonly currency: string;
    readonly lineCount: number;
  };
  readonly "order-rejected": Ended;
  readonly "order-cancelled": Ended;
  readonly "order-returned": OfOrder & {
    readonly refundMinor: number;
    readonly pointsMinor: number;
    readonly currency: string;
    readonly units: number;
  };
  readonly "return-requested": OfOrder & { readonly units: number; readonly lapsesAt: string };
  readonly "return-refused": OfOrder & { readonly units: number };
  readonly "return-lapsed": OfOrder & { readonly reason: Static<typeof ReturnLapse> };
  readonly "confirm-address": { readonly code: string };
  readonly news: { readonly texts: Readonly<Record<string, NewsText>> };
}

export type MessageKind = keyof FactsOf;

/** A kind and its facts, which belong together. */
export type Content = {
  readonly [Kind in MessageKind]: { readonly kind: Kind; readonly facts: FactsOf[Kind] };
}[MessageKind];

/** One message before it is written down. */
export type NewMessage = Content & {
  readonly id: string;
  readonly channel: Channel;
  readonly about: string;
  readonly recipientId: string | null;
  readonly orderId: string | null;
  readonly buyerId: string | null;
  readonly eventId: string | null;
  readonly language: string;
};

/** Where a person is reached at the moment. */
export interface Reach {
  readonly email: string | null;
  readonly emailConfirmed: boolean;
  readonly pushToken: string | null;
  readonly orders: readonly PersonalChannel[];
  readonly news: readonly PersonalChannel[];
}

/** Where a message goes, asked in the moment in which it goes: an address that was taken back an hour ago gets nothing. */
export type Destination =
  | { readonly kind: "shop" }
  | { readonly kind: "person"; readonly address: string }
  | { readonly kind: "unwanted" };

export function destinationOf(message: { kind: MessageKind; channel: Channel }, reach: Reach | undefined): Destination {
  const { kind, channel } = message;
  if (channel === "chat") return { kind: "shop" };
  if (reach === undefined) return { kind: "unwanted" };
  const asked = kind === "confirm-address";
  if (!asked && !(kind === "news" ? reach.news : reach.orders).includes(channel)) return { kind: "unwanted" };
  const address = channel === "push" ? reach.pushToken : asked || reach.emailConfirmed ? reach.email : null;
  return address === null ? { kind: "unwanted" } : { kind: "person", address };
}
