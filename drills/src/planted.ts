/** Tests the tester: each fault that somebody shipped once is planted, and the kill drill's own checks must name it. */

import { plantedScripts } from "./consumer-faults.ts";
import { type FaultName, faultNames } from "./fault-names.ts";
import type { KillPoint } from "./kill-points.ts";
import { Play, type RoundPlan } from "./play.ts";
import { type DrillReport, Findings, reportOf } from "./report.ts";
import { openTheatre, type ServerChoice, type Theatre } from "./stage.ts";

export interface PlantedOptions {
  readonly server: ServerChoice;
  readonly seed: number;
  readonly say: (words: string) => void;
  /** Default: all. */
  readonly faults?: readonly FaultName[];
}

/** Who has to die for the fault to do harm, and which invariants can see it. */
interface Scenario {
  readonly deaths: readonly KillPoint[];
  readonly seenBy: readonly string[];
}

const scenarios: Readonly<Record<FaultName, Scenario>> = {
  "id-cursor": { deaths: [], seenBy: ["none-lost"] },
  // The inbox refuses what comes behind a later change of its key, so disorder shows as loss.
  "xid-cursor": { deaths: [], seenBy: ["none-lost", "key-order"] },
  "insert-before-lock": { deaths: [], seenBy: ["none-lost", "key-order"] },
  "commit-offset-first": { deaths: ["batch.before-commit"], seenBy: ["none-lost"] },
  "dedupe-off": { deaths: ["each.after-commit", "each.after-call"], seenBy: ["one-effect"] },
  "take-over-without-epoch": { deaths: ["consumer.frozen"], seenBy: ["one-effect"] },
  "lane-change-without-rule": { deaths: [], seenBy: ["none-lost", "key-order"] },
  "deadline-without-watermark": { deaths: ["consumer.any-moment"], seenBy: ["deadline-after-watermark"] },
  "partition-dropped-early": { deaths: [], seenBy: ["none-lost"] },
  "retry-topic-without-parking": { deaths: [], seenBy: ["key-order"] },
  "commit-highest-seen": { deaths: ["each.after-call"], seenBy: ["none-lost"] },
};

/** A fault that survives so many rounds is not caught. Most show in the first. */
const mostRounds = 6;

export async function drillPlanted({ server, seed, say, faults = faultNames }: PlantedOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(server);
  const findings = new Findings();
  await seeGreen(theatre, { faults, seed, say, findings });
  const caughtBy: Partial<Record<FaultName, readonly string[]>> = {};
  for (const fault of faults) {
    const by = await plant(theatre, fault, seed);
    if (by.length > 0) caughtBy[fault] = by;
    findings.note(`caught: ${fault}`, 1, by.length > 0 ? [] : [`it survived ${mostRounds} rounds`]);
    say(`${fault}: ${by.length > 0 ? `caught by ${by.join(", ")}` : "NOT CAUGHT"}`);
  }
  return reportOf("planted", {
    invariants: findings.invariants,
    figures: { planted: faults.length, caught: Object.keys(caughtBy).length, caughtBy },
    startedAt,
  });
}

/** What the faults will be tried with passes while nothing is planted: what is caught later is the fault, not the drill. */
async function seeGreen(
  theatre: Theatre,
  options: Required<Pick<PlantedOptions, "faults" | "seed" | "say">> & { readonly findings: Findings },
): Promise<void> {
  await using stage = await theatre.stage();
  await using play = await Play.open(stage);
  // Faults that need the same deaths share the round without a fault.
  const plans = new Map(options.faults.map((fault) => [scenarios[fault].deaths.join(", "), fault]));
  let round = 0;
  for (const [deaths, fault] of plans) {
    const { invariants } = await play.round(planOf(fault, ++round, options.seed));
    const violations = invariants.flatMap(({ id, violations: them }) => them.map((it) => `${id}: ${it}`));
    options.findings.note("green-without-faults", sumOf(invariants), violations);
    const outcome = violations.length === 0 ? "green" : `RED: ${violations.slice(0, 3).join("; ")}`;
    options.say(`nothing planted, killed at ${deaths || "no point"}: ${outcome}`);
  }
}

const sumOf = (invariants: DrillReport["invariants"]): number =>
  invariants.reduce((sum, { checked }) => sum + checked, 0);

/** Plays with the fault until one of the invariants that can see it breaks; gives those that did. */
async function plant(theatre: Theatre, fault: FaultName, seed: number): Promise<string[]> {
  await using stage = await theatre.stage();
  const script = plantedScripts[fault];
  if (script !== undefined) await stage.alter(script);
  await using play = await Play.open(stage, fault);
  for (let round = 1; round <= mostRounds; round++) {
    const { invariants } = await play.round(planOf(fault, round, seed));
    const by = invariants
      .filter(({ id, violations }) => violations.length > 0 && scenarios[fault].seenBy.includes(id))
      .map(({ id }) => id);
    if (by.length > 0) return by;
  }
  return [];
}

const planOf = (fault: FaultName, round: number, seed: number): RoundPlan => ({
  round,
  seed: seed * 1_000_003 + round,
  deaths: scenarios[fault].deaths,
});
