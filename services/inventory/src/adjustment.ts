/** What people may change by hand, and why. Pure. */

import type { MoveKind } from "./ledger.ts";

/** By reason, what it means for units that are added, and for units that are taken off. */
const moveOf = {
  /** The shelf was counted. */
  COUNTED: { more: "ADDED", fewer: "REMOVED" },
  /** An earlier entry was wrong. */
  CORRECTION: { more: "ADDED", fewer: "REMOVED" },
  FOUND: { more: "ADDED", fewer: undefined },
  LOST: { more: undefined, fewer: "REMOVED" },
  STOLEN: { more: undefined, fewer: "REMOVED" },
  /** For a display, as a sample, as a gift. */
  OWN_USE: { more: undefined, fewer: "REMOVED" },
  /** Off the shelf, into quarantine. */
  DAMAGED: { more: undefined, fewer: "SET_ASIDE" },
  /** Out of quarantine, onto the shelf: it was good after all. */
  CLEARED: { more: "CLEARED", fewer: undefined },
  /** Out of quarantine, and gone. */
  DISPOSED: { more: undefined, fewer: "DISPOSED" },
} as const satisfies Readonly<Record<string, Record<"more" | "fewer", MoveKind | undefined>>>;

export type AdjustmentReason = keyof typeof moveOf;

export const adjustmentReasons = Object.keys(moveOf) as readonly AdjustmentReason[];

/** What there is to change, in pieces. */
export interface Level {
  readonly available: number;
  readonly quarantined: number;
}

export interface AdjustmentWish {
  readonly reason: AdjustmentReason;
  /** Added or, below zero, taken off. Never zero. */
  readonly units: number;
}

export type AdjustmentDecision =
  | { readonly kind: "adjusted"; readonly move: MoveKind; readonly units: number }
  /** The reason does not go this way: nothing is found by taking it off. */
  | { readonly kind: "wrong-way" }
  /** It would take more than is there: what is held or sold is not touched by hand. */
  | { readonly kind: "too-many"; readonly there: number };

export function decideAdjustment(level: Level, { reason, units }: AdjustmentWish): AdjustmentDecision {
  const move = moveOf[reason][units > 0 ? "more" : "fewer"];
  if (move === undefined) return { kind: "wrong-way" };
  const pieces = Math.abs(units);
  const there = takenFrom(level, move);
  return pieces > there ? { kind: "too-many", there } : { kind: "adjusted", move, units: pieces };
}

function takenFrom({ available, quarantined }: Level, move: (typeof moveOf)[AdjustmentReason]["more" | "fewer"]) {
  switch (move) {
    case "REMOVED":
    case "SET_ASIDE":
      return available;
    case "CLEARED":
    case "DISPOSED":
      return quarantined;
    case "ADDED":
    case undefined:
      return Number.POSITIVE_INFINITY;
    default:
      return move satisfies never;
  }
}
