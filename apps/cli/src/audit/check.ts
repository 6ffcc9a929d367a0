import { array, bigint, type Queryable, type Statement, text } from "@onsale/postgres";
import type { LedgerPayment } from "@onsale/provider-sim";

/** Numbers of the invariants, as ARCHITECTURE.md counts them. */
export type Invariant = 1 | 2 | 3 | 4 | 5 | 6;

/** What a check works with. */
export interface Stores {
  /** One snapshot of every service's tables: what a check sees in one it sees in all. */
  readonly tx: Queryable;
  /** The payment providers' own books by their names, read over their public interface. */
  readonly providerLedgers: ReadonlyMap<string, () => AsyncIterable<LedgerPayment>>;
}

/** What a check found. */
export interface Finding {
  /** Rows that it looked at. */
  readonly rows: number;
  /** Of these, those that break the invariant. */
  readonly offending: number;
  /** Some of them, by identity, in words for a person. */
  readonly examples: readonly string[];
}

/** One thing that must hold at rest, and how to see whether it does. */
export interface Check {
  /** `subject.what`, stable: scripts look for it. */
  readonly id: string;
  readonly invariant: Invariant;
  /** What holds, as one sentence. */
  readonly title: string;
  readonly run: (stores: Stores) => Promise<Finding>;
}

/** The columns that every statement of the audit gives. */
export const finding = { rows: bigint, offending: bigint, examples: array(text) };

/** Offending rows that are named one by one, at most: enough to begin looking, and a screen can hold them. */
export const namedExamples = 10;

/** A check that is one statement. */
export const statementCheck = (check: Omit<Check, "run">, statement: Statement<readonly [], Finding>): Check => ({
  ...check,
  run: async ({ tx }) => onlyRow(await tx.query(statement, [])),
});

export function onlyRow(rows: readonly Finding[]): Finding {
  const [row] = rows;
  if (!row) throw new Error("A statement of the audit gave no row.");
  return row;
}

/** The same check over several places, as one. */
export const together = (findings: readonly Finding[]): Finding => ({
  rows: findings.reduce((sum, { rows }) => sum + rows, 0),
  offending: findings.reduce((sum, { offending }) => sum + offending, 0),
  examples: findings.flatMap(({ examples }) => examples).slice(0, namedExamples),
});
