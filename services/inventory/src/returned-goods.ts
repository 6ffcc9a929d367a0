/** What of a return goes back on the shelf. */

import type { BuyerId, HoldId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { Cause } from "@onsale/messaging";
import type { Allocation } from "./allocation.ts";
import type { Location } from "./location.ts";

/** What a buyer sends back. */
export interface ReturnWish {
  readonly orderId: OrderId;
  readonly returnId: ReturnId;
  readonly lines: readonly { readonly sku: Sku; readonly units: Units }[];
  readonly cause: Cause;
}

/** What an order still has of one SKU from one location. */
export interface Kept {
  readonly orderId: OrderId;
  readonly holdId: HoldId;
  readonly sku: Sku;
  readonly location: Location;
  readonly units: number;
  readonly limited: boolean;
}

export interface RestockedLine {
  readonly holdId: HoldId;
  readonly sku: Sku;
  /** Where it came from, and goes back to. */
  readonly location: Location;
  readonly units: Units;
  /** Who had the units, where they count against a limit per buyer. */
  readonly limitedBuyer: BuyerId | null;
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
    ({ orderId, sku }) => keptKey(orderId, sku),
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
  return wish.lines.flatMap(({ sku, units }) => {
    let coming = units;
    return (left.get(keptKey(wish.orderId, sku)) ?? []).flatMap((hold) => {
      const back = Math.min(coming, hold.units);
      coming -= back;
      hold.units -= back;
      const { holdId, location, limited } = hold;
      return back > 0 ? [{ holdId, sku, location, units: back, limitedBuyer: limited ? buyerId : null }] : [];
    });
  });
}

const keptKey = (orderId: OrderId, sku: Sku): string => `${orderId} ${sku}`;
