/** The sagas that the drill goes through, as people set them off. */

import type { OrderStatus, OrderWish } from "../../shop.ts";

export interface Scenario {
  /** As the table has it. */
  readonly name: string;
  /** What is done to the order; what comes before it is not disturbed. */
  readonly act: "place" | "cancel" | "return";
  readonly payment: OrderWish["payment"];
  readonly buyer: "rich" | "poor";
  readonly shelf: "plenty" | "bare";
  /** Whether the card provider refuses cards while it goes on. */
  readonly cards: "taken" | "refused";
  readonly ends: OrderStatus;
}

/** Not divisible by anything that a rounding could hide behind. */
export const price = { priceMinor: 255, currency: "GBP" };
export const units = 3;
export const returnedUnits = 1;

const usual = { act: "place", buyer: "rich", shelf: "plenty", cards: "taken", ends: "CONFIRMED" } as const;
const card = { method: "card" };
const wallet = { method: "wallet" };
const split = { method: "split", pointsMinor: 200 };

export const scenarios: readonly Scenario[] = [
  { ...usual, name: "place, card", payment: card },
  { ...usual, name: "place, wallet", payment: wallet },
  { ...usual, name: "place, split", payment: split },
  { ...usual, name: "place, split, sold out", payment: split, shelf: "bare", ends: "REJECTED" },
  { ...usual, name: "place, wallet, too few points", payment: wallet, buyer: "poor", ends: "REJECTED" },
  { ...usual, name: "place, split, card refused", payment: split, cards: "refused", ends: "REJECTED" },
  { ...usual, name: "cancel, card", payment: card, act: "cancel", ends: "CANCELLED" },
  { ...usual, name: "cancel, wallet", payment: wallet, act: "cancel", ends: "CANCELLED" },
  { ...usual, name: "cancel, split", payment: split, act: "cancel", ends: "CANCELLED" },
  { ...usual, name: "return, card", payment: card, act: "return" },
  { ...usual, name: "return, wallet", payment: wallet, act: "return" },
  { ...usual, name: "return, split", payment: split, act: "return" },
];

/**
 * Steps that no scenario comes to, and why. One that a scenario does come to may not stand here, nor one that is no step:
 * both are violations.
 */
export const outOfReach: Readonly<Record<string, string>> = {
  "orders.advance does stock.lapsed": "a hold outlives its order's bound; services/orders and inventory show it",
  "orders.advance does payment.capture-refused": "the provider's simulator captures what it set aside",
  "orders.advance does payment.reversing": "the provider answers; the drill of its outage shows it",
};
