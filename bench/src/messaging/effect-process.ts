/** A service in a process of its own that hears of orders and writes one row for each, in the transaction of its progress. */

import { consumer, type Delivered } from "@onsale/messaging";
import { array, instant, sql, type Transaction, uuid } from "@onsale/postgres";
import { answer } from "./child.ts";
import { sharedClock } from "./clock.ts";
import { openSchema, sink, source } from "./ground.ts";
import type { Moments } from "./moments.ts";
import { orderPlaced } from "./order-event.ts";

export type EffectOrder =
  /** Begins to hear; answered at once. */
  | { readonly url: string; readonly reader: "snapshot" | "wal" }
  /** Answered with these orders' effects when all of them are committed. */
  | { readonly effectsOf: readonly string[] };

const insertEffectsSql = sql("bench.insert-effects", { takes: [array(uuid), instant], gives: {} })`
  insert into effect (order_id, applied_at) select order_id, $2 from unnest($1::uuid[]) as order_id`;

/** When the effect of each order was known to be committed. */
const effects = new Map<string, number>();
let changed: () => void = () => undefined;

async function apply(
  tx: Transaction,
  events: readonly Delivered<typeof orderPlaced>[],
  { clock }: { clock: { now(): string } },
): Promise<void> {
  await tx.execute(insertEffectsSql, [events.map(({ key }) => key), clock.now()]);
  tx.afterCommit(() => {
    const now = sharedClock();
    for (const { key } of events) effects.set(key, now);
    changed();
  });
}

answer(async (order: EffectOrder): Promise<Moments | Record<string, never>> => {
  if ("effectsOf" in order) return await effectsOf(order.effectsOf);
  const mirror = await openSchema(order.url, sink, order.reader);
  mirror.consume([consumer("mirror.apply", { on: orderPlaced, in: "batch", do: apply })], { sourceOf: () => source });
  return {};
});

async function effectsOf(orderIds: readonly string[]): Promise<Moments> {
  while (!orderIds.every((orderId) => effects.has(orderId)))
    await new Promise<void>((resolve) => {
      changed = resolve;
    });
  return { orderIds, at: orderIds.map((orderId) => effects.get(orderId) ?? 0) };
}
