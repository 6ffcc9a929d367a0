/**
 * Business goes on at a steady rate, whether or not anybody keeps up: a transaction is begun when its time has come, not when
 * the one before has ended.
 */

import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { placeOrder, skus } from "./business.ts";
import { answer } from "./child.ts";
import { sharedClock } from "./clock.ts";
import { openSchema, source } from "./ground.ts";
import type { Moments } from "./moments.ts";
import { noteFor } from "./order-event.ts";

export interface OpenLoopOrder {
  readonly url: string;
  readonly perSecond: number;
  readonly seconds: number;
  readonly payloadBytes: number;
}

export interface OpenLoopReport extends Moments {
  /** Transactions committed in a second, from the first to the last. */
  readonly perSecond: number;
  /** Transactions that got no connection in time: the machine could not do as many. */
  readonly refused: number;
}

let shop: ReturnType<typeof openSchema> | undefined;

answer(async ({ url, perSecond, seconds, payloadBytes }: OpenLoopOrder): Promise<OpenLoopReport> => {
  shop ??= openSchema(url, source);
  const { database } = await shop;
  const note = noteFor(payloadBytes);
  const orderIds: string[] = [];
  const at: number[] = [];
  let refused = 0;
  const place = async (): Promise<void> => {
    const orderId = randomUUID();
    let committing = 0;
    const beforeCommit = (): void => {
      committing = sharedClock();
    };
    await placeOrder(database, { orderId, sku: randomInt(1, skus + 1) }, { note, beforeCommit });
    orderIds.push(orderId);
    at.push(committing);
  };
  const startedAt = sharedClock();
  await atRate({ perSecond, count: perSecond * seconds }, () =>
    place().catch(() => {
      refused++;
    }),
  );
  return { orderIds, at, refused, perSecond: (orderIds.length * 1_000) / (sharedClock() - startedAt) };
});

async function atRate(
  { perSecond, count }: { perSecond: number; count: number },
  begin: () => Promise<void>,
): Promise<void> {
  const startedAt = sharedClock();
  const begun: Promise<void>[] = [];
  while (begun.length < count) {
    const due = Math.min(count, Math.floor(((sharedClock() - startedAt) * perSecond) / 1_000));
    while (begun.length < due) begun.push(begin());
    await sleep(1);
  }
  await Promise.all(begun);
}
