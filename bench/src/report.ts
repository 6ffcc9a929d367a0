/** What every bench gives, and how people see it. */

import { availableParallelism, cpus, totalmem } from "node:os";
import { inspect } from "node:util";

/** One measured row beside its limit. Ratios are better when larger. */
export interface BenchRow {
  readonly row: string;
  readonly value: number;
  readonly unit: string;
  readonly limit: { readonly name: string; readonly value: number };
  readonly ratio: number;
  readonly goal: number;
  readonly met: boolean;
}

export interface BenchReport {
  readonly name: string;
  readonly machine: string;
  readonly rows: readonly BenchRow[];
  /** What a reader needs to believe the rows: every pair, the settings, where the time went. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** The shop that a bench runs against, as `onsale up` composes it. */
export interface BenchShop {
  readonly url: string;
  /** An administrator's URL of its database. */
  readonly databaseUrl: string;
  /** The process that serves it, of which PostgreSQL and the card provider are children. */
  readonly pid: number;
  readonly operator: LogIn;
}

export interface LogIn {
  readonly email: string;
  readonly password: string;
}

export function machine(): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  return `${availableParallelism()} x ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}, Node ${process.versions.node}`;
}

/** A row that is better when it is larger. */
export function higherIsBetter(
  row: string,
  value: number,
  unit: string,
  limit: BenchRow["limit"],
  goal: number,
): BenchRow {
  const ratio = value / limit.value;
  return {
    row,
    value: round(value),
    unit,
    limit: { ...limit, value: round(limit.value) },
    ratio: round(ratio, 3),
    goal,
    met: ratio >= goal,
  };
}

/** One measurement of ours and one of what it is compared with, right after one another. */
export interface Pair {
  readonly value: number;
  readonly limit: number;
}

/**
 * A row of measurements in turn, better when larger: medians of both, and the median of the pairs' ratios, since what
 * disturbs a machine disturbs both of a pair.
 */
export function pairedRow(
  row: string,
  pairs: readonly Pair[],
  { unit, limit, goal }: { unit: string; limit: string; goal: number },
): BenchRow {
  const ratio = median(pairs.map((pair) => pair.value / pair.limit));
  const limitValue = median(pairs.map((pair) => pair.limit));
  return {
    row,
    value: round(median(pairs.map(({ value }) => value))),
    unit,
    limit: { name: limit, value: round(limitValue) },
    ratio: round(ratio, 3),
    goal,
    met: ratio >= goal,
  };
}

/** A row that is better when it is smaller: its ratio is the limit over the value. */
export function lowerIsBetter(row: string, value: number, unit: string, limit: BenchRow["limit"]): BenchRow {
  const ratio = limit.value / value;
  return { row, value: round(value), unit, limit, ratio: round(ratio, 3), goal: 1, met: ratio >= 1 };
}

export const round = (value: number, digits = 1): number => Math.round(value * 10 ** digits) / 10 ** digits;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) throw new Error("Nothing was measured.");
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** The report for people: a table, and below it what makes it believable. */
export function tableOf({ name, machine: where, rows, details }: BenchReport): string {
  const lines = rows.map(({ row, value, unit, limit, ratio, goal, met }) =>
    [
      row.padEnd(12),
      `${value} ${unit}`.padStart(18),
      `${limit.name} ${limit.value}`.padStart(44),
      `ratio ${ratio}`.padStart(14),
      `goal ${goal}`.padStart(10),
      met ? "met" : "NOT MET",
    ].join("  "),
  );
  return [`${name} on ${where}`, ...lines, inspect(details, { depth: 4, breakLength: 120 })].join("\n");
}
