/** `log p50`, `log p99`: from the commit of a business transaction to the commit of its event's effect in another process. */

import { lowerIsBetter, median, round } from "../report.ts";
import { Child } from "./child.ts";
import type { EffectOrder } from "./effect-process.ts";
import type { Ground } from "./ground.ts";
import { between, type Moments, type Quantiles, quantilesOf } from "./moments.ts";
import type { OpenLoopOrder, OpenLoopReport } from "./open-loop-process.ts";
import type { PartOptions, PartReport } from "./part.ts";

/** Milliseconds. */
const aims = { p50: 5, p99: 20 };
const payloadBytes = 200;
const warmUpSeconds = 3;

/** How a service reads other services' outboxes: by default, and the other way. */
const readers = ["snapshot", "wal"] as const;
type Reader = (typeof readers)[number];

type Measured = Quantiles & Pick<OpenLoopReport, "perSecond" | "refused">;

export async function benchLog(ground: Ground, options: PartOptions): Promise<PartReport> {
  const measured: Partial<Record<Reader, Measured[]>> = {};
  for (const reader of readers) {
    measured[reader] = await measure(ground.url, reader, options);
    const { p50Ms, p99Ms } = medians(measured[reader]);
    options.say(`log read by ${reader}: p50 ${p50Ms} ms, p99 ${p99Ms} ms`);
  }
  const byDefault = measured.snapshot ?? [];
  const { p50Ms, p99Ms } = medians(byDefault);
  const isComplete = byDefault.every(({ refused }) => refused === 0);
  return {
    rows: [
      lowerIsBetter("log p50", p50Ms, "ms", { name: "aim", value: aims.p50 }),
      lowerIsBetter("log p99", p99Ms, "ms", { name: "aim", value: aims.p99 }),
    ].map((row) => ({ ...row, met: row.met && isComplete })),
    details: {
      ...{ perSecond: options.perSecond, payloadBytes },
      clock: "from sending COMMIT to the answer to the effect's COMMIT, every order",
      ...measured,
    },
  };
}

/** Producer and consumer each live in a process of their own, as long as the measurements of one reader. */
async function measure(
  url: string,
  reader: Reader,
  { pairs, seconds, perSecond, goOn }: PartOptions,
): Promise<Measured[]> {
  await using producer = new Child<OpenLoopReport>("./open-loop-process.ts");
  await using consumer = new Child<Moments>("./effect-process.ts");
  await consumer.ask({ url, reader } satisfies EffectOrder);
  const once = async (order: Pick<OpenLoopOrder, "perSecond" | "seconds">): Promise<Measured> => {
    const committed = await producer.ask({ url, payloadBytes, ...order } satisfies OpenLoopOrder);
    const applied = await consumer.ask({ effectsOf: committed.orderIds } satisfies EffectOrder);
    const { refused } = committed;
    return { ...quantilesOf(between(committed, applied)), perSecond: round(committed.perSecond), refused };
  };
  // Gently at first: code that was never run takes a multiple of its time.
  for (const share of [0.2, 1]) await once({ perSecond: perSecond * share, seconds: Math.min(warmUpSeconds, seconds) });
  const measured = [];
  for (let time = 0; time < pairs; time++) {
    goOn();
    measured.push(await once({ perSecond, seconds }));
  }
  return measured;
}

const medians = (measured: readonly Quantiles[]) => ({
  p50Ms: round(median(measured.map(({ p50Ms }) => p50Ms)), 2),
  p99Ms: round(median(measured.map(({ p99Ms }) => p99Ms)), 2),
});
