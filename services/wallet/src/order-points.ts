/** The life of the points of an order: every state, and what each thing that happens to the order means there. */

import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import type { Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import type { PartBack } from "./purse.ts";

/** See the migration for what each means. */
export type OrderPointsState = "HELD" | "REFUSED" | "SPENT" | "RELEASED";

export interface OrderPoints {
  readonly orderId: OrderId;
  readonly personId: BuyerId;
  readonly currency: Currency;
  readonly amountMinor: number;
  readonly state: OrderPointsState;
  /** How many points.* events of the order were published. */
  readonly version: number;
}

/** What an order took from one lot. */
export interface OrderPart {
  readonly orderId: OrderId;
  /** Counts the order's parts in the order in which they were taken. */
  readonly number: number;
  readonly lotId: string;
  readonly amountMinor: number;
  readonly givenBackMinor: number;
  /** When the lot ends. */
  readonly expiresAt: Instant | null;
}

/** The order was confirmed: what is held for it is spent. */
export function whenConfirmed({ state }: OrderPoints): "SPENT" | undefined {
  switch (state) {
    case "HELD":
      return "SPENT";
    case "REFUSED":
    case "SPENT":
    case "RELEASED":
      return undefined;
    default:
      return state satisfies never;
  }
}

/** The order was withdrawn: how what is left of its points moves back; null where there is nothing to move, but somebody to tell. */
export function whenWithdrawn({ state }: OrderPoints): "RELEASED" | "GIVEN_BACK" | null | undefined {
  switch (state) {
    case "HELD":
      return "RELEASED";
    case "SPENT":
      return "GIVEN_BACK";
    case "REFUSED":
      return null;
    case "RELEASED":
      return undefined;
    default:
      return state satisfies never;
  }
}

/** What goes back to which part of an order. */
export interface GivenBack extends PartBack {
  readonly number: number;
}

/**
 * Of what an order took, the parts that go back for `amountMinor`: the part that was taken last goes back first, as if it had
 * never been taken, and so the buyer keeps the points that live longest. Never more than the order still has.
 */
export function partsBack(parts: readonly OrderPart[], amountMinor: number): GivenBack[] {
  let left = amountMinor;
  return parts
    .toSorted((one, other) => other.number - one.number)
    .flatMap(({ number, lotId, expiresAt, ...part }) => {
      const back = Math.min(left, part.amountMinor - part.givenBackMinor);
      left -= back;
      return back > 0 ? [{ number, lotId, expiresAt, amountMinor: back }] : [];
    });
}

/** The same parts after that. */
export function afterGivingBack(parts: readonly OrderPart[], back: readonly GivenBack[]): OrderPart[] {
  const byNumber = new Map(back.map(({ number, amountMinor }) => [number, amountMinor]));
  return parts.map((part) => ({
    ...part,
    givenBackMinor: part.givenBackMinor + (byNumber.get(part.number) ?? 0),
  }));
}
