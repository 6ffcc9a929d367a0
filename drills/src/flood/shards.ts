/** Shards: a handler that waits outside the database, alone and divided by key; and one shard that does not come on. */

import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { bulkRowCap } from "@onsale/messaging";
import type { Invariant } from "../report.ts";
import type { Theatre } from "../theatre/stage.ts";
import { until } from "../until.ts";
import { importSales } from "./sellers.ts";
import { type Subscriber, subscribe } from "./subscriber.ts";

/** Sales that each number of shards gets: two seconds' worth of one that waits a millisecond for each. */
const sales = 2 * bulkRowCap;
const waitMs = 1;
const numbers = [1, 2, 4] as const;
const stalledOf = 4;

export interface Shards {
  /** Sales heard of a second, by the number of shards. */
  readonly perSecond: Readonly<Record<string, number>>;
  readonly stalled: Invariant;
}

export async function measureShards(theatre: Theatre, say: (words: string) => void): Promise<Shards> {
  const perSecond: Record<string, number> = {};
  for (const shards of numbers) {
    const rate = await rateWith(theatre, shards);
    perSecond[shards] = rate;
    say(`a handler that waits ${waitMs} ms, in ${shards} shards: ${rate}/s`);
  }
  return { perSecond, stalled: await stallOne(theatre) };
}

/** Imports first and hears then, so that only hearing is measured. */
async function rateWith(theatre: Theatre, shards: number): Promise<number> {
  await using stage = await theatre.stage();
  await importSales({ url: stage.url, lane: "bulk", sales, name: "import" });
  const subscriber = subscribe({
    ...{ url: stage.url, shards },
    before: async (batch) => {
      for (const _ of batch) await sleep(waitMs);
    },
  });
  const startedAt = performance.now();
  await heard(subscriber, sales);
  const seconds = (performance.now() - startedAt) / 1_000;
  await subscriber.end();
  return Math.round(sales / seconds);
}

/** While the first batch of one shard is held up, all sales of the others come through; then its own do. */
async function stallOne(theatre: Theatre): Promise<Invariant> {
  await using stage = await theatre.stage();
  await importSales({ url: stage.url, lane: "bulk", sales, name: "import" });
  const held: string[] = [];
  const release = Promise.withResolvers<void>();
  const subscriber = subscribe({
    ...{ url: stage.url, shards: stalledOf },
    before: async (batch) => {
      const [first] = batch;
      if (!first || shardOf(first.key) !== 0) return;
      held.push(...batch.map(({ key }) => key));
      await release.promise;
    },
  });
  const own = Array.from({ length: sales }, (_, index) => shardOf(`import-${index}`)).filter((shard) => shard === 0);
  const others = sales - own.length;
  const violations: string[] = [];
  await heard(subscriber, others).catch(() => violations.push("a stalled shard held up keys that are not its own"));
  if (subscriber.bulkHeard > others) violations.push("the shard that was to stall did not");
  if (held.some((key) => shardOf(key) !== 0)) violations.push("a shard was given a key of another");
  release.resolve();
  await heard(subscriber, sales).catch(() => violations.push("the shard did not go on after its stall"));
  await subscriber.end();
  return { id: "stalled-shard-delays-only-its-keys", checked: others, violations };
}

const heardWithinMs = 5 * 60_000;

const heard = (subscriber: Subscriber, count: number): Promise<void> =>
  until(async () => subscriber.bulkHeard >= count, heardWithinMs);

/** The kit's rule for keys and shards, said once more: a shard that got another's key would show. */
const shardOf = (key: string): number => crc32(key) % stalledOf;
