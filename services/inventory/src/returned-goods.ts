/** Where the units of a return go. */

import type { BuyerId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { ReturnDamage } from "@onsale/contracts/orders";
import type { Cause } from "@onsale/messaging";
import type { Static } from "typebox";
import type { Allocation, AllocationId } from "./allocation.ts";
import type { MoveKind, Part } from "./ledger.ts";

/** What becomes of units that came back damaged; null: they are as good as new. */
export type Damage = Static<typeof ReturnDamage> | null;

/** Where such units go. */
export const moveOf = (damage: Damage): MoveKind => {
  switch (damage) {
    case null:
      return "RETURNED";
    case "QUARANTINED":
      return "RETURNED_ASIDE";
    case "WRITTEN_OFF":
      return "WRITTEN_OFF";
    default:
      return damage satisfies never;
  }
};

/** What a buyer sends back. */
export interface ReturnWish {
  readonly orderId: OrderId;
  readonly returnId: ReturnId;
  readonly lines: readonly { readonly sku: Sku; readonly units: Units; readonly damage?: NonNullable<Damage> }[];
  readonly cause: Cause;
}

/** What somebody still has of one hold from one location. */
export interface Kept extends Part {
  readonly allocationId: AllocationId;
  readonly limited: boolean;
}

/** Units go back to where they came from. Of those that have names the last go first: a return names none. */
export interface RestockedLine extends Part {
  /** Who had the units, where they count against a limit per buyer. */
  readonly limitedBuyer: BuyerId | null;
  readonly damage: Damage;
}

export interface Restocked {
  readonly wish: ReturnWish;
  readonly lines: readonly RestockedLine[];
  /** The order's version that tells of it. */
  readonly version: number;
}

/**
 * Decides returns of sold orders in the order given. Never more goes back than the order still has, whatever the returns
 * say: a unit put back twice would be sold twice.
 */
export function decideRestocks(
  sold: ReadonlyMap<OrderId, Pick<Allocation, "version" | "buyerId">>,
  kept: readonly Kept[],
  wishes: readonly ReturnWish[],
): Restocked[] {
  const left = Map.groupBy(
    kept.map((it) => ({ ...it })),
    ({ allocationId, sku }) => keptKey(allocationId, sku),
  );
  const versions = new Map([...sold].map(([orderId, { version }]) => [orderId, version]));
  return wishes.flatMap((wish) => {
    const order = sold.get(wish.orderId);
    if (!order) return [];
    const version = (versions.get(wish.orderId) ?? 0) + 1;
    versions.set(wish.orderId, version);
    return [{ wish, version, lines: takeOff(left, wish, order.buyerId) }];
  });
}

type Left = ReadonlyMap<string, readonly { -readonly [Field in keyof Kept]: Kept[Field] }[]>;

function takeOff(left: Left, wish: ReturnWish, buyerId: BuyerId | null): RestockedLine[] {
  return wish.lines.flatMap(({ sku, units, damage = null }) => {
    let coming = units;
    return (left.get(keptKey(wish.orderId, sku)) ?? []).flatMap((hold) => {
      const back = Math.min(coming, hold.units);
      coming -= back;
      if (back === 0) return [];
      hold.units -= back;
      const names = hold.names.slice(hold.units);
      hold.names = hold.names.slice(0, hold.units);
      const { holdId, location, limited } = hold;
      return [{ holdId, sku, location, units: back, names, limitedBuyer: limited ? buyerId : null, damage }];
    });
  });
}

const keptKey = (id: AllocationId, sku: Sku): string => `${id} ${sku}`;
