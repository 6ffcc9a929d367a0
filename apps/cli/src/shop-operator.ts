import { randomUUID } from "node:crypto";
import { loggedIn } from "./logged-in.ts";
import type { Session } from "./session.ts";
import { Shop } from "./shop.ts";
import { ShopClient } from "./shop-client.ts";

export interface ShopOperator extends AsyncDisposable {
  publishProduct(product: { sku: string; name: string; priceMinor: number; currency: string }): Promise<void>;
  receiveStock(receipt: { sku: string; units: number }): Promise<void>;
}

/** Works in the shop as its operator; each call is a deed of its own, with a new key. */
export function openShopAsOperator({ url, operator, signal }: Session): ShopOperator {
  const client = new ShopClient({ url, connections: 1, signal });
  const shop = new Shop(client);
  const token = loggedIn(shop, operator);
  const call = async () => ({ accessToken: await token(), idempotencyKey: randomUUID() });
  return {
    publishProduct: async (product) => void (await shop.publishProduct(await call(), product)),
    receiveStock: async (receipt) => void (await shop.receiveStock(await call(), receipt)),
    [Symbol.asyncDispose]: () => client.close(),
  };
}
