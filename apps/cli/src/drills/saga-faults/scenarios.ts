/** The sagas that the drill goes through, as people set them off. */

import type { SagaStyle } from "@onsale/orders";
import type { OrderStatus, OrderWish } from "../../shop.ts";

export interface Scenario {
  /** As the table has it. */
  readonly name: string;
  /** What is done to the order; what comes before it is not disturbed. */
  readonly act: "place" | "cancel" | "return" | "look at return";
  readonly payment: OrderWish["payment"];
  readonly buyer: "rich" | "poor";
  readonly shelf: "plenty" | "bare";
  /** Whether the buyer has asked before to send something back. */
  readonly isAskedBack: boolean;
  /** What holds for the whole shop while it goes on. */
  readonly weather: Weather;
  readonly ends: OrderStatus;
}

export const weathers = ["fair", "cards are refused", "returns are looked at"] as const;
export type Weather = (typeof weathers)[number];

/** Not divisible by anything that a rounding could hide behind. */
export const price = { priceMinor: 255, currency: "GBP" };
export const units = 3;
export const returnedUnits = 2;
/** Who looks at what came back takes one and refuses the other. */
export const found = [
  { quantity: 1, verdict: "QUARANTINED" },
  { quantity: 1, verdict: "REFUSED", reason: "USED" },
] as const;

const usual: Omit<Scenario, "name" | "payment"> = {
  ...{ act: "place", buyer: "rich", shelf: "plenty", isAskedBack: false, weather: "fair", ends: "CONFIRMED" },
};
const looking = { ...usual, weather: "returns are looked at" } satisfies Partial<Scenario>;
const card = { method: "card" };
const wallet = { method: "wallet" };
const split = { method: "split", pointsMinor: 200 };

export const scenarios: readonly Scenario[] = [
  { ...usual, name: "place, card", payment: card },
  { ...usual, name: "place, wallet", payment: wallet },
  { ...usual, name: "place, split", payment: split },
  { ...usual, name: "place, split, sold out", payment: split, shelf: "bare", ends: "REJECTED" },
  { ...usual, name: "place, wallet, too few points", payment: wallet, buyer: "poor", ends: "REJECTED" },
  { ...usual, name: "place, split, card refused", payment: split, weather: "cards are refused", ends: "REJECTED" },
  { ...usual, name: "cancel, card", payment: card, act: "cancel", ends: "CANCELLED" },
  { ...usual, name: "cancel, wallet", payment: wallet, act: "cancel", ends: "CANCELLED" },
  { ...usual, name: "cancel, split", payment: split, act: "cancel", ends: "CANCELLED" },
  { ...usual, name: "return, card", payment: card, act: "return" },
  { ...usual, name: "return, wallet", payment: wallet, act: "return" },
  { ...usual, name: "return, split", payment: split, act: "return" },
  { ...looking, name: "return, split, to be looked at", payment: split, act: "return" },
  { ...looking, name: "look at return, split", payment: split, act: "look at return", isAskedBack: true },
  {
    ...looking,
    name: "cancel, card, with a return",
    payment: card,
    act: "cancel",
    isAskedBack: true,
    ends: "CANCELLED",
  },
];

const outlives = "a hold outlives its order's bound; services/orders and inventory show it";
const captures = "the provider's simulator captures what it set aside";
const isGivenBack = "what there was to give back was, when the order was withdrawn";

/**
 * Steps that no scenario comes to, and why. One that a scenario does come to may not stand here, nor one that is no step:
 * both are violations.
 */
const outOfBoth = {
  "orders.advance does stock.lapsed": outlives,
  "orders.advance does payment.capture-refused": captures,
  "orders.advance does payment.reversing": "the provider answers; the drill of its outage shows it",
};

export const outOfReach: Readonly<Record<SagaStyle, Readonly<Record<string, string>>>> = {
  orchestrated: outOfBoth,
  choreographed: {
    ...outOfBoth,
    "inventory.release-holds does payment.capture-refused": captures,
    "wallet.release-points does payment.capture-refused": captures,
    "wallet.release-points does stock.lapsed": outlives,
    "payments.move-money prepares stock.lapsed": outlives,
    "payments.move-money calls for stock.lapsed": outlives,
    "payments.move-money settles stock.lapsed": outlives,
    "payments.move-money calls for order.rejected": isGivenBack,
    "payments.move-money settles order.rejected": isGivenBack,
    "payments.move-money calls for order.cancelled": isGivenBack,
    "payments.move-money settles order.cancelled": isGivenBack,
  },
};
