/** What a fact wants of an order's payment, whoever tells it. Pure. */

import type { BuyerId, ReturnId } from "@onsale/contracts/ids";
import { stockConfirmed, stockLapsed, stockReserved } from "@onsale/contracts/inventory";
import type { AmountMinor, Currency } from "@onsale/contracts/money";
import {
  type Dues,
  orderCancelled,
  orderPayable,
  orderRejected,
  orderReturned,
  orderSecured,
  orderWithdrawn,
} from "@onsale/contracts/orders";
import { pointsHeld } from "@onsale/contracts/wallet";
import type { Delivered } from "@onsale/messaging";
import type { Static } from "typebox";

/** What tells it where orders leads. */
export const moneyEvents = [orderPayable, orderSecured, orderWithdrawn, orderReturned] as const;

/** What tells it where nobody leads an order. */
export const choreographedEvents = [
  stockReserved,
  pointsHeld,
  stockConfirmed,
  stockLapsed,
  orderWithdrawn,
  orderRejected,
  orderCancelled,
  orderReturned,
] as const;

export type MoneyEvent = Delivered<(typeof moneyEvents)[number] | (typeof choreographedEvents)[number]>;

export type Wanted =
  | {
      readonly kind: "authorise";
      readonly buyerId: BuyerId;
      readonly amountMinor: AmountMinor;
      readonly currency: Currency;
    }
  /** `ofKnown`: an order without a payment has nothing to do with cards, and is no mistake. */
  | { readonly kind: "capture"; readonly ofKnown: boolean }
  | { readonly kind: "give-back"; readonly ofKnown: boolean }
  | {
      readonly kind: "refund";
      readonly returnId: ReturnId;
      readonly amountMinor: AmountMinor;
      readonly ofKnown: boolean;
    };

/** Undefined where the fact is no matter of cards. */
export function wantedBy(event: MoneyEvent): Wanted | undefined {
  switch (event.type) {
    case "order.payable.v1": {
      const { buyerId, amountMinor, currency } = event.data;
      return { kind: "authorise", buyerId, amountMinor, currency };
    }
    // A card is asked last: after the stock where it pays for all, after the points where it pays for the rest.
    case "stock.reserved.v1":
      return event.data.dues?.method === "card" ? authorise(event.data.dues) : undefined;
    case "points.held.v1":
      return event.data.dues?.method === "split" ? authorise(event.data.dues) : undefined;
    case "order.secured.v1":
      return { kind: "capture", ofKnown: false };
    case "stock.confirmed.v1":
      return { kind: "capture", ofKnown: true };
    case "order.withdrawn.v1":
      return { kind: "give-back", ofKnown: false };
    case "stock.lapsed.v1":
    case "order.rejected.v1":
    case "order.cancelled.v1":
      return { kind: "give-back", ofKnown: true };
    case "order.returned.v1": {
      const { returnId, refundMinor: amountMinor } = event.data;
      // Goods of an order that was paid with points alone owe the card nothing.
      return { kind: "refund", returnId, amountMinor, ofKnown: amountMinor === 0 };
    }
    default:
      return event satisfies never;
  }
}

const authorise = ({ buyerId, cardMinor: amountMinor, currency }: Static<typeof Dues>): Wanted => ({
  kind: "authorise",
  buyerId,
  amountMinor,
  currency,
});
