/** The life of what an order was given: every state, and what each thing that happens to it means there. */

import type { BuyerId } from "@onsale/contracts/ids";
import { stockConfirmed, stockLapsed, stockReleased } from "@onsale/contracts/inventory";
import type { Instant } from "@onsale/contracts/time";
import type { MoveKind } from "./ledger.ts";

/** See the migration for what each means. */
export type AllocationState = "HELD" | "SOLD" | "REFUSED" | "EXPIRED" | "LAPSED" | "ATTACHED" | "RELEASED";

/** The order's id, or that of a hold that its buyer took before there was an order. */
export type AllocationId = string;

export interface Allocation {
  readonly allocationId: AllocationId;
  readonly kind: "ORDER" | "HOLD";
  readonly state: AllocationState;
  /** How many stock.* events of it were published. */
  readonly version: number;
  readonly buyerId: BuyerId | null;
  readonly expiresAt: Instant | null;
}

/** One step: the new state, what happens to the order's units, and what is told. */
export interface Step {
  readonly to: AllocationState;
  /** Null where the order has no units to move. */
  readonly move: MoveKind | null;
  /** Null where nobody has asked. */
  readonly tells: typeof stockConfirmed | typeof stockLapsed | typeof stockReleased | null;
}

const sell: Step = { to: "SOLD", move: "SOLD", tells: stockConfirmed };
const lapse: Step = { to: "LAPSED", move: "EXPIRED", tells: stockLapsed };
const lapseWithNothing: Step = { to: "LAPSED", move: null, tells: stockLapsed };
const expire: Step = { to: "EXPIRED", move: "EXPIRED", tells: null };
const giveUp: Step = { to: "RELEASED", move: "RELEASED", tells: null };
const releaseHeld: Step = { to: "RELEASED", move: "RELEASED", tells: stockReleased };
const releaseSold: Step = { to: "RELEASED", move: "UNSOLD", tells: stockReleased };
const releaseNothing: Step = { to: "RELEASED", move: null, tells: stockReleased };

/**
 * The order was authorised at that moment. The moment it was said counts, not the moment it is heard: a feed that was
 * down for a while must not lapse what was paid in time.
 */
export function whenAuthorised({ state, expiresAt }: Allocation, authorisedAt: Instant): Step | undefined {
  switch (state) {
    case "HELD":
      return expiresAt !== null && authorisedAt <= expiresAt ? sell : lapse;
    case "EXPIRED":
    case "REFUSED":
    case "ATTACHED":
      return lapseWithNothing;
    case "SOLD":
    case "LAPSED":
    // It is over, and was told so: where nobody leads the order, its end may be heard before this.
    case "RELEASED":
      return undefined;
    default:
      return state satisfies never;
  }
}

/**
 * The order ended without its units, or was cancelled after it had them. It waits to be told that nothing of its stock is
 * left; one that was refused has been told that already.
 */
export function whenEnded({ state }: Allocation): Step | undefined {
  switch (state) {
    case "HELD":
      return releaseHeld;
    case "SOLD":
      return releaseSold;
    case "EXPIRED":
    case "LAPSED":
      return releaseNothing;
    case "REFUSED":
    case "ATTACHED":
    case "RELEASED":
      return undefined;
    default:
      return state satisfies never;
  }
}

/** Its buyer wants it no longer. Undefined where there is nothing left to give back. */
export const whenGivenUp = ({ state }: Allocation): Step | undefined => (state === "HELD" ? giveUp : undefined);

/** An order has taken it over: the units are the order's now, and its time does not count any more. */
export const attach: Step = { to: "ATTACHED", move: null, tells: null };

/** The time of its holds has passed. The order hears of it when it asks for them, or ends. */
export const whenExpired = ({ state }: Allocation): Step | undefined => (state === "HELD" ? expire : undefined);
