/** A process of the flood: hears, sells or imports as it is told, so that none of the three takes another's processor time unseen. */

import { followOrders } from "@onsale/child-process";
import type { Database } from "@onsale/postgres";
import { importSales, openCheckouts, sellOnline } from "./sellers.ts";
import { type Subscriber, subscribe } from "./subscriber.ts";
import type { Deed, Deeds } from "./troupe.ts";

let subscriber: Subscriber | undefined;
/** Kept from part to part, as a shop keeps them: the first sales over a new connection wait for it, and for its statements. */
let checkouts: Database | undefined;
let closing = new AbortController();
let selling: Promise<Deeds["end-selling"]["gives"]> | undefined;

const deeds: { readonly [Name in Deed]: (takes: Deeds[Name]["takes"]) => Promise<Deeds[Name]["gives"]> } = {
  async subscribe({ url }) {
    subscriber = subscribe({ url });
    return undefined;
  },
  async "bulk-heard"() {
    return subscriber?.bulkHeard ?? 0;
  },
  async "take-heard"() {
    if (!subscriber) throw new Error("Nobody subscribed.");
    return subscriber.take();
  },
  async unsubscribe() {
    await subscriber?.end();
    return undefined;
  },
  async "begin-selling"({ url, ...options }) {
    closing = new AbortController();
    checkouts ??= openCheckouts(url);
    selling = sellOnline(checkouts, options, closing.signal);
    return undefined;
  },
  async "end-selling"() {
    closing.abort();
    return (await selling) ?? { sales: 0, latestStartMs: 0 };
  },
  async import(options) {
    await importSales(options);
    return undefined;
  },
};

async function follow<Name extends Deed>({ id, deed, takes }: { id: number; deed: Name; takes: Deeds[Name]["takes"] }) {
  process.send?.({ id, gives: await deeds[deed](takes) });
}

followOrders((order: { id: number; deed: Deed; takes: never }) => follow(order));
