/** What every drill gives, and how people see it. */

import { inspect } from "node:util";

/** One thing that must hold, how often it was looked at, and where it did not. */
export interface Invariant {
  readonly id: string;
  /** How many things were compared. Nothing compared is a violation of its own: a check that saw nothing proves nothing. */
  readonly checked: number;
  readonly violations: readonly string[];
}

export interface DrillReport {
  readonly name: string;
  readonly verdict: "pass" | "fail";
  readonly seconds: number;
  readonly invariants: readonly Invariant[];
  readonly figures: Readonly<Record<string, unknown>>;
}

/** Violations told of one invariant at most; the rest is counted. A fault that hits everything must not fill the terminal. */
const toldAtMost = 20;

/** Gathers what the parts of a drill found. */
export class Findings {
  readonly #found = new Map<string, { checked: number; violations: string[] }>();

  note(id: string, checked: number, violations: readonly string[] = []): void {
    const known = this.#found.get(id) ?? { checked: 0, violations: [] };
    known.checked += checked;
    known.violations.push(...violations);
    this.#found.set(id, known);
  }

  add(invariants: readonly Invariant[]): void {
    for (const { id, checked, violations } of invariants) this.note(id, checked, violations);
  }

  get invariants(): Invariant[] {
    return [...this.#found].map(([id, { checked, violations }]) => ({
      id,
      checked,
      violations: shortened(violations),
    }));
  }

  /** The invariants that did not hold, by name. */
  get broken(): string[] {
    return [...this.#found].filter(([, { violations }]) => violations.length > 0).map(([id]) => id);
  }
}

const shortened = (violations: readonly string[]): string[] =>
  violations.length <= toldAtMost
    ? [...violations]
    : [...violations.slice(0, toldAtMost), `and ${violations.length - toldAtMost} more`];

export function reportOf(
  name: string,
  { invariants, figures, startedAt }: { invariants: readonly Invariant[]; figures: object; startedAt: number },
): DrillReport {
  const judged = invariants.map(failedWhereUnchecked);
  const holds = judged.length > 0 && judged.every(({ violations }) => violations.length === 0);
  return {
    name,
    verdict: holds ? "pass" : "fail",
    seconds: Math.round(performance.now() - startedAt) / 1_000,
    invariants: judged,
    figures: { ...figures },
  };
}

/** One report of the same drill on several logs, with the figures of all and, by its name, those of each. */
export function together(name: string, reports: readonly DrillReport[], ofAll: object): DrillReport {
  return {
    name,
    verdict: reports.length > 0 && reports.every(({ verdict }) => verdict === "pass") ? "pass" : "fail",
    seconds: reports.reduce((sum, { seconds }) => sum + seconds, 0),
    invariants: reports.flatMap(({ invariants, figures }) =>
      invariants.map((invariant) => ({ ...invariant, id: `${figures.log}: ${invariant.id}` })),
    ),
    figures: {
      ...ofAll,
      logs: Object.fromEntries(reports.map(({ figures }) => [figures.log, figures])),
    },
  };
}

const failedWhereUnchecked = (invariant: Invariant): Invariant =>
  invariant.checked > 0 || invariant.violations.length > 0
    ? invariant
    : { ...invariant, violations: ["nothing was checked"] };

/** The report for people. */
export function inWords({ name, verdict, seconds, invariants, figures }: DrillReport): string {
  const lines = invariants.flatMap(({ id, checked, violations }) => [
    `${violations.length === 0 ? "held  " : "BROKEN"}  ${id.padEnd(28)} ${checked} checked`,
    ...violations.map((violation) => `          ${violation}`),
  ]);
  return [`${name}: ${verdict}, ${seconds} s`, ...lines, inspect(figures, { depth: 6, breakLength: 120 })].join("\n");
}
