/** One key whose handler fails, among a thousand whose handler does not: who waits, for how long, and what a redrive brings back. */

import { beyond, quantile, ratio } from "../figures.ts";
import { type DrillReport, Findings, type Invariant, reportOf } from "../report.ts";
import { parkedKeys } from "../theatre/books.ts";
import { openTheatre } from "../theatre/stage.ts";
import { keys, SteadyShop } from "./steady-shop.ts";

export interface FailingKeyOptions {
  /** An administrator's, of the PostgreSQL server to play on. */
  readonly serverUrl: string;
  /** Pairs of a quiet part and one in which the key fails, one after the other. */
  readonly pairs: number;
  /** Milliseconds of each part. Default 10,000: three thousand changes, thirty of them beyond the p99. */
  readonly partMs?: number;
  readonly say: (words: string) => void;
}

const failingKey = "key-that-fails";

/** What the others' p99 may be, over that of the quiet part beside it. */
const othersAtMost = 1.2;

export async function drillFailingKey({
  serverUrl,
  pairs,
  partMs = 10_000,
  say,
}: FailingKeyOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(serverUrl);
  await using stage = await theatre.stage();
  await using shop = new SteadyShop(stage, { failingKey });
  await shop.open(Math.min(partMs, 3_000));
  const quiet: number[] = [];
  const failing: number[] = [];
  const waiting = new Set<string>();
  let redriven = 0;
  for (let pair = 1; pair <= pairs; pair++) {
    quiet.push(...(await shop.part(partMs)));
    failing.push(...(await shop.partInWhichTheKeyFails(partMs)));
    for (const key of await parkedKeys(stage.admin)) waiting.add(key);
    redriven += await shop.redrive();
    say(`pair ${pair}: p99 ${quantile(quiet, 0.99)} ms, with a key that fails ${quantile(failing, 0.99)} ms`);
  }
  const figures = {
    ...{ pairs, partMs, keys: keys.length, redriven },
    quietP99Ms: quantile(quiet, 0.99),
    failingP99Ms: quantile(failing, 0.99),
    others: ratio(quantile(failing, 0.99), quantile(quiet, 0.99)),
  };
  const findings = new Findings();
  findings.add(await shop.judge());
  findings.add([onlyItWaited(waiting, redriven), othersKeptTheirPace(figures.others, failing.length)]);
  return reportOf("failing-key", { invariants: findings.invariants, figures, startedAt });
}

const onlyItWaited = (waiting: ReadonlySet<string>, redriven: number): Invariant => ({
  id: "only-it-waits",
  checked: redriven,
  violations: [
    ...[...waiting].filter((key) => key !== failingKey).map((key) => `${key} waited`),
    ...(waiting.has(failingKey) ? [] : ["the key that fails did not wait"]),
  ],
});

/** Exported for its test. */
export const othersKeptTheirPace = (times: number | undefined, checked: number): Invariant => ({
  id: "others-keep-their-pace",
  checked,
  violations: beyond("the others' p99", times, { most: othersAtMost }),
});
