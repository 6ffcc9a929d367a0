/** What of a return goes back on the shelf. */

import type { BuyerId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import type { Cause } from "@onsale/messaging";
import type { Allocation } from "./allocation.ts";

/** What a buyer sends back. */
export interface ReturnWish {
  readonly orderId: OrderId;
  readonly returnId: ReturnId;
  readonly lines: readonly { readonly sku: Sku; readonly units: Units }[];
  readonly cause: Cause;
}

/** What an order still has of one SKU. */
export interface Kept {
  readonly orderId: OrderId;
  readonly sku: Sku;
  readonly units: number;
  readonly limited: boolean;
}

export interface RestockedLine {
  readonly sku: Sku;
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
  const left = new Map(kept.map((it) => [keptKey(it.orderId, it.sku), { ...it }]));
  const versions = new Map([...sold].map(([orderId, { version }]) => [orderId, version]));
  return wishes.flatMap((wish) => {
    const order = sold.get(wish.orderId);
    if (!order) return [];
    const version = (versions.get(wish.orderId) ?? 0) + 1;
    versions.set(wish.orderId, version);
    return [{ wish, version, lines: takeOff(left, wish, order.buyerId) }];
  });
}

function takeOff(left: Map<string, { units: number; limited: boolean }>, wish: ReturnWish, buyerId: BuyerId | null) {
  return wish.lines.flatMap(({ sku, units }) => {
    const hold = left.get(keptKey(wish.orderId, sku));
    const back = Math.min(units, hold?.units ?? 0);
    if (!hold || back === 0) return [];
    hold.units -= back;
    return [{ sku, units: back, limitedBuyer: hold.limited ? buyerId : null }];
  });
}

const keptKey = (orderId: OrderId, sku: Sku): string => `${orderId} ${sku}`;
