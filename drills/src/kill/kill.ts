/** Kills writers, consumers and relays under load, at every place where it could matter, and compares each effect with its cause. */

import { Random } from "../random.ts";
import { type DrillReport, Findings, reportOf, together } from "../report.ts";
import type { KafkaPlace } from "../theatre/assignment.ts";
import { partitionsRetired } from "../theatre/books.ts";
import { type KillPoint, killPoints, type Role } from "../theatre/kill-points.ts";
import { openTheatre } from "../theatre/stage.ts";
import { Play } from "./play.ts";

export interface KillOptions {
  /** An administrator's, of the PostgreSQL server to play on. */
  readonly serverUrl: string;
  readonly rounds: number;
  /** The first round, from 1: a long count can be done in pieces. */
  readonly from: number;
  readonly seed: number;
  readonly say: (words: string) => void;
  /** The broker that events go through. Absent: consumers read the outboxes. */
  readonly kafka?: KafkaPlace;
  /** Who dies. Default: everybody there is on this log. */
  readonly roles?: readonly Role[];
}

export async function drillKill({
  serverUrl,
  rounds,
  from,
  seed,
  say,
  kafka,
  ...options
}: KillOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(serverUrl);
  await using stage = await theatre.stage();
  await using play = await Play.open(stage, { ...(kafka && { kafka }) });
  const { roles = kafka ? ["writer", "consumer", "relay"] : ["writer", "consumer"] } = options;
  const findings = new Findings();
  const hits = new Map<KillPoint, number>(pointsOf(roles).map((point) => [point, 0]));
  let changes = 0;
  for (let round = from; round < from + rounds; round++) {
    const result = await play.round({
      round,
      seed: seed * 1_000_003 + round,
      deaths: deathsOf(round, { rounds, seed, roles }),
    });
    findings.add(result.invariants);
    for (const point of result.hits) hits.set(point, (hits.get(point) ?? 0) + 1);
    changes += result.changes;
    say(`round ${round}: ${result.changes} changes, killed at ${result.hits.join(", ")}${tell(result.invariants)}`);
  }
  findings.note(
    "every-kill-point-hit",
    hits.size,
    [...hits].filter(([, count]) => count === 0).map(([point]) => `nobody died at ${point}`),
  );
  return reportOf("kill", {
    invariants: findings.invariants,
    figures: {
      ...{ log: kafka ? "kafka" : "postgres", rounds, from, seed, changes },
      killPoints: Object.fromEntries(hits),
      partitionsRetired: await partitionsRetired(stage.admin),
    },
    startedAt,
  });
}

/** One report of several logs. */
export function killTogether(reports: readonly DrillReport[]): DrillReport {
  const killPoints: Record<string, number> = {};
  for (const { figures } of reports)
    for (const [point, hits] of Object.entries(figures.killPoints as Record<string, number>))
      killPoints[point] = (killPoints[point] ?? 0) + hits;
  const rounds = reports.reduce((sum, { figures }) => sum + Number(figures.rounds), 0);
  return together("kill", reports, { rounds, killPoints });
}

const pointsOf = (roles: readonly Role[]): KillPoint[] => roles.flatMap((role) => [...killPoints[role]]);

const tell = (invariants: DrillReport["invariants"]): string =>
  invariants
    .filter(({ violations }) => violations.length > 0)
    .map(({ id, violations }) => `\n  BROKEN ${id}: ${violations.slice(0, 5).join("; ")}`)
    .join("");

/**
 * Where somebody dies in a round: one of each role each time, the points in turn, so that any `rounds` in a row come
 * to every point; the fewer rounds, the more deaths in each.
 */
export function deathsOf(
  round: number,
  { rounds, seed, roles }: { readonly rounds: number; readonly seed: number; readonly roles: readonly Role[] },
): KillPoint[] {
  const random = new Random(seed);
  const deaths = roles.flatMap((role) => {
    const order = random.shuffled<KillPoint>(killPoints[role]);
    const perRound = Math.ceil(order.length / rounds);
    return Array.from(
      { length: perRound },
      (_, death) => order[((round - 1) * perRound + death) % order.length] as KillPoint,
    );
  });
  return new Random(seed + round).shuffled(deaths);
}
