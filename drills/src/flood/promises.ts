/** What is promised of lanes and shards, as ratios of values measured in one run. */

import { beyond, ratio } from "../figures.ts";
import type { Invariant } from "../report.ts";

/** p99 in milliseconds, rates in events a second; undefined where nothing was measured. */
export interface Measured {
  readonly quietP99Ms: number | undefined;
  readonly sharedP99Ms: number | undefined;
  readonly lanesP99Ms: number | undefined;
  readonly bulkAlonePerS: number;
  readonly bulkBesidePerS: number;
  readonly shardsPerS: Readonly<Record<string, number>>;
  /** How many online sales lie behind each p99, and how many imported ones behind each rate. */
  readonly onlineSales: { readonly shared: number; readonly lanes: number };
  readonly events: number;
}

export function judgePromises(measured: Measured): Invariant[] {
  const { quietP99Ms, sharedP99Ms, lanesP99Ms, bulkAlonePerS, bulkBesidePerS, shardsPerS } = measured;
  const { onlineSales, events } = measured;
  return [
    {
      id: "online-within-twice-quiet",
      checked: onlineSales.lanes,
      violations: beyond("the online p99 beside the flood", ratio(lanesP99Ms, quietP99Ms), { most: 2 }),
    },
    // The fault that the lanes are for: if it does no harm, this run shows nothing of them.
    {
      id: "one-lane-harms",
      checked: onlineSales.shared,
      violations: beyond("the online p99 in one shared lane", ratio(sharedP99Ms, lanesP99Ms), { least: 2 }),
    },
    {
      id: "bulk-keeps-half",
      checked: events,
      violations: beyond("the import's rate beside online sales", ratio(bulkBesidePerS, bulkAlonePerS), { least: 0.5 }),
    },
    {
      id: "four-shards-twice-as-fast",
      checked: Object.keys(shardsPerS).length,
      violations: beyond("the rate with four shards", ratio(shardsPerS[4], shardsPerS[1]), { least: 2 }),
    },
  ];
}
