/** A crowd before the gate, for a product of which there is a part of what they want. */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StockGate } from "@onsale/inventory/gate";
import { openRedis } from "@onsale/redis";
import { startRedis } from "@onsale/redis/server";
import type pg from "pg";
import { withClient } from "../plain-order.ts";
import { round } from "../report.ts";
import type { Drained } from "./drain.ts";
import { answersOf, type HotShop, measured, putOnShelf, startInventory } from "./hot-shop.ts";
import { ordersOfTransaction, placeOrders } from "./placed.ts";

export interface GatedShop extends AsyncDisposable {
  readonly gate: StockGate;
}

export interface Crowd extends Drained {
  readonly asked: number;
  /** Refused at the gate, without the database. */
  readonly turnedAway: number;
  /** Let through, and decided by the ledger: the row's value counts the first. */
  readonly granted: number;
  readonly refusedByLedger: number;
  /** Of those let through: Redis did not answer in time, so nobody asked it. */
  readonly unasked: number;
  /** Requests a second that had their answer, whichever. */
  readonly answeredPerSecond: number;
  /** Where gate and ledger do not agree, in words. */
  readonly wrong: readonly string[];
}

/** Requests for each unit that there is. */
const requestsPerUnit = 4;
/** Requests that are at the gate at once: as many as the connections of a busy server. */
const atOnce = 500;
/** Orders let through and not yet decided, at most: as many as the load of whole orders has under way. Who waits asks no further. */
const underWay = 4 * ordersOfTransaction;
const lookEveryMs = 10;

/** A gate as the server opens it, before a Redis of its own. */
export async function openGate(_: HotShop, directory: string): Promise<GatedShop> {
  const server = await startRedis({ directory: join(directory, "redis") });
  const redis = openRedis({ url: server.url, prefix: "bench:", answerMs: 100, applicationName: "onsale bench" });
  const gate = new StockGate(redis);
  await gate.restoreMemory(async function* () {});
  return {
    gate,
    async [Symbol.asyncDispose]() {
      await redis.close();
      await server.kill();
    },
  };
}

let crowds = 0;

/** So many requests, until each has its answer: turned away, or decided by the ledger. */
export async function crowd({ url, stock }: HotShop, { gate }: GatedShop, requests: number): Promise<Crowd> {
  const sku = `SCARCE-${++crowds}`;
  const units = Math.ceil(requests / requestsPerUnit);
  return await withClient(url, async (client) => {
    await putOnShelf(client, sku, units);
    let atDoor: AtDoor = { turnedAway: 0, unasked: 0 };
    const time = await measured(client, async () => {
      const feeds = startInventory(stock, gate);
      try {
        atDoor = await askAll({ client, gate, sku }, requests);
      } finally {
        await feeds.drain();
      }
      return { reservations: (await answersOf(client, sku)).held };
    });
    const { held: granted, refused: refusedByLedger } = await answersOf(client, sku);
    const counts = { asked: requests, ...atDoor, granted, refusedByLedger };
    const answeredPerSecond = round(requests / time.seconds);
    return { ...time, ...counts, answeredPerSecond, wrong: whatIsWrong(sku, units, counts) };
  });
}

interface Door {
  readonly client: pg.Client;
  readonly gate: StockGate;
  readonly sku: string;
}

type AtDoor = Pick<Crowd, "turnedAway" | "unasked">;

/** Asks for every request, places who is let through, and waits until the ledger has decided them. */
async function askAll({ client, gate, sku }: Door, requests: number): Promise<AtDoor> {
  let [asked, through, unasked, decided] = [0, 0, 0, 0];
  while (asked < requests || decided < through) {
    const { held, refused } = await answersOf(client, sku);
    decided = held + refused;
    if (asked === requests || through - decided >= underWay) {
      await sleep(lookEveryMs);
      continue;
    }
    const some = Math.min(atOnce, requests - asked);
    const admissions = await Promise.all(
      Array.from({ length: some }, (_, index) =>
        gate.admit({ personId: sku, key: String(asked + index) }, [{ sku, quantity: 1 }]),
      ),
    );
    const placed = admissions.filter(({ kind }) => kind === "through").length;
    if (placed > 0) await placeOrders(client, sku, placed);
    asked += some;
    through += placed;
    unasked += admissions.filter((admission) => admission.kind === "through" && !admission.isRemembered).length;
  }
  return { turnedAway: asked - through, unasked };
}

function whatIsWrong(
  sku: string,
  units: number,
  { asked, turnedAway, unasked, granted, refusedByLedger }: Omit<Crowd, keyof Drained | "answeredPerSecond" | "wrong">,
): string[] {
  const answers = turnedAway + granted + refusedByLedger;
  return [
    ...(granted === units
      ? []
      : [`${granted} of ${units} units of ${sku} were granted, and ${turnedAway} requests turned away`]),
    ...(answers === asked ? [] : [`${asked} requests for ${sku} had ${answers} answers`]),
    // Before the shelf is empty everybody may go through, as many as are under way when it is, and who could not be asked.
    ...(turnedAway > 0 || unasked > 0 || asked <= units + underWay ? [] : [`the gate turned nobody away from ${sku}`]),
  ];
}
