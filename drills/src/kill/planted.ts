/** Tests the tester: each fault that somebody shipped once is planted, and the kill drill's own checks must name it. */

import { type DrillReport, Findings, reportOf, together } from "../report.ts";
import type { KafkaPlace } from "../theatre/assignment.ts";
import { plantedScripts } from "../theatre/consumer-faults.ts";
import { type FaultName, faultNames } from "../theatre/fault-names.ts";
import { openTheatre, outboxReadersOf, type Theatre } from "../theatre/stage.ts";
import type { MomentName } from "./moments.ts";
import { Play, type RoundPlan } from "./play.ts";

export interface PlantedOptions {
  /** An administrator's, of the PostgreSQL server to play on. */
  readonly serverUrl: string;
  readonly seed: number;
  readonly say: (words: string) => void;
  /** Default: all. */
  readonly faults?: readonly FaultName[];
  /** The broker that events go through. Absent: consumers read the outboxes. */
  readonly kafka?: KafkaPlace | undefined;
}

/** The moment that makes the fault do harm, and which invariants can see it. */
interface Scenario {
  readonly moment: MomentName;
  readonly seenBy: readonly string[];
}

const scenarios: Readonly<Record<FaultName, Scenario>> = {
  "id-cursor": { moment: "late-commit", seenBy: ["none-lost"] },
  // The inbox refuses what comes behind a later change of its key, so disorder shows as loss.
  "xid-cursor": { moment: "older-transaction-later", seenBy: ["none-lost"] },
  "insert-before-lock": { moment: "two-at-one-key", seenBy: ["none-lost"] },
  "commit-offset-first": { moment: "killed-before-commit", seenBy: ["none-lost"] },
  "dedupe-off": { moment: "killed-with-one-under-way", seenBy: ["one-effect"] },
  "take-over-without-epoch": { moment: "frozen-after-call", seenBy: ["one-effect"] },
  "lane-change-without-rule": { moment: "lanes-apart", seenBy: ["none-lost"] },
  "deadline-without-watermark": { moment: "due-before-heard", seenBy: ["deadline-after-watermark"] },
  "partition-dropped-early": { moment: "partition-full-and-open", seenBy: ["none-lost"] },
  "retry-topic-without-parking": { moment: "failure-with-another-behind", seenBy: ["key-order"] },
  "commit-highest-seen": { moment: "killed-with-one-under-way", seenBy: ["none-lost"] },
};

/** Changes under load before the moment: a second's worth. The fault does not need them; the checks have more to look at. */
const changesBefore = 200;

export async function drillPlanted(options: PlantedOptions): Promise<DrillReport> {
  const { serverUrl, seed, say, faults = faultNames, kafka } = options;
  const startedAt = performance.now();
  await using theatre = await openTheatre(serverUrl);
  const findings = new Findings();
  await seeGreen(theatre, { faults, seed, say, findings, kafka });
  const caughtBy: Partial<Record<FaultName, readonly string[]>> = {};
  for (const fault of faults) {
    const by = await plant(theatre, fault, { seed, kafka });
    if (by.length > 0) caughtBy[fault] = by;
    findings.note(`caught: ${fault}`, 1, by.length > 0 ? [] : ["it survived"]);
    say(`${fault}: ${by.length > 0 ? `caught by ${by.join(", ")}` : "NOT CAUGHT"}`);
  }
  return reportOf("planted", {
    invariants: findings.invariants,
    figures: {
      log: kafka ? "kafka" : "postgres",
      ...{ planted: faults.length, caught: Object.keys(caughtBy).length, caughtBy },
    },
    startedAt,
  });
}

/** One report of several logs, on each of which every fault counts for itself. */
export function plantedTogether(reports: readonly DrillReport[]): DrillReport {
  const sum = (figure: "planted" | "caught"): number =>
    reports.reduce((total, { figures }) => total + Number(figures[figure]), 0);
  return together("planted", reports, { planted: sum("planted"), caught: sum("caught") });
}

/** What the faults will be tried with passes while nothing is planted: what is caught later is the fault, not the drill. */
async function seeGreen(
  theatre: Theatre,
  options: Required<Pick<PlantedOptions, "faults" | "seed" | "say">> & {
    readonly findings: Findings;
    readonly kafka: KafkaPlace | undefined;
  },
): Promise<void> {
  await using stage = await theatre.stage();
  await using play = await Play.open(stage, onOwnTopics(options.kafka, "sound"));
  const moments = [...new Set(options.faults.map((fault) => scenarios[fault].moment))];
  const { invariants } = await play.round(planOf(moments, options.seed));
  const violations = invariants.flatMap(({ id, violations: them }) => them.map((it) => `${id}: ${it}`));
  options.findings.note("green-without-faults", sumOf(invariants), violations);
  const outcome = violations.length === 0 ? "green" : `RED: ${violations.slice(0, 3).join("; ")}`;
  options.say(`nothing planted, ${moments.length} moments: ${outcome}`);
}

const sumOf = (invariants: DrillReport["invariants"]): number =>
  invariants.reduce((sum, { checked }) => sum + checked, 0);

/** Plays one round with the fault; gives those of the invariants that can see it which broke. */
async function plant(
  theatre: Theatre,
  fault: FaultName,
  { seed, kafka }: { readonly seed: number; readonly kafka: KafkaPlace | undefined },
): Promise<string[]> {
  const { moment, seenBy } = scenarios[fault];
  await using stage = await theatre.stage();
  const script = plantedScripts[fault];
  if (script !== undefined) await stage.alter(script(outboxReadersOf(kafka)));
  await using play = await Play.open(stage, { fault, ...onOwnTopics(kafka, fault) });
  const { invariants } = await play.round(planOf([moment], seed));
  return invariants.filter(({ id, violations }) => violations.length > 0 && seenBy.includes(id)).map(({ id }) => id);
}

/** Each stage is a database of its own, and so are its topics. */
const onOwnTopics = (kafka: KafkaPlace | undefined, name: string): { readonly kafka?: KafkaPlace } =>
  kafka ? { kafka: { ...kafka, prefix: `${kafka.prefix}${name}.` } } : {};

const planOf = (moments: readonly MomentName[], seed: number): RoundPlan => ({
  ...{ round: 1, seed, deaths: [], moments, changes: changesBefore },
});
