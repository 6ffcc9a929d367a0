/** Kills writers and consumers under load, at every place where it could matter, and compares each effect with its cause. */

import { partitionsRetired } from "./books.ts";
import { type KillPoint, killPoints } from "./kill-points.ts";
import { Play } from "./play.ts";
import { Random } from "./random.ts";
import { type DrillReport, Findings, reportOf } from "./report.ts";
import { openTheatre, type ServerChoice } from "./stage.ts";

export interface KillOptions {
  readonly server: ServerChoice;
  readonly rounds: number;
  /** The first round, from 1: a long count can be done in pieces. */
  readonly from: number;
  readonly seed: number;
  readonly say: (words: string) => void;
}

const allPoints: readonly KillPoint[] = [...killPoints.writer, ...killPoints.consumer];

export async function drillKill({ server, rounds, from, seed, say }: KillOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(server);
  await using stage = await theatre.stage();
  await using play = await Play.open(stage);
  const findings = new Findings();
  const hits = new Map<KillPoint, number>(allPoints.map((point) => [point, 0]));
  let changes = 0;
  for (let round = from; round < from + rounds; round++) {
    const result = await play.round({
      round,
      seed: seed * 1_000_003 + round,
      deaths: deathsOf(round, { rounds, seed }),
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
      ...{ rounds, from, seed, changes },
      killPoints: Object.fromEntries(hits),
      partitionsRetired: await partitionsRetired(stage.admin),
    },
    startedAt,
  });
}

const tell = (invariants: DrillReport["invariants"]): string =>
  invariants
    .filter(({ violations }) => violations.length > 0)
    .map(({ id, violations }) => `\n  BROKEN ${id}: ${violations.slice(0, 5).join("; ")}`)
    .join("");

/**
 * Where somebody dies in a round: a writer and a consumer each time, the points in turn, so that any `rounds` in a row come
 * to every point; the fewer rounds, the more deaths in each.
 */
export function deathsOf(
  round: number,
  { rounds, seed }: { readonly rounds: number; readonly seed: number },
): KillPoint[] {
  const random = new Random(seed);
  const deaths = Object.values(killPoints).flatMap((points) => {
    const order = random.shuffled<KillPoint>(points);
    const perRound = Math.ceil(order.length / rounds);
    return Array.from(
      { length: perRound },
      (_, death) => order[((round - 1) * perRound + death) % order.length] as KillPoint,
    );
  });
  return new Random(seed + round).shuffled(deaths);
}
