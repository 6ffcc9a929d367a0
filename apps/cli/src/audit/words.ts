import { say } from "../output.ts";
import { type AuditReport, checks } from "./audit.ts";

/** The checks one by one, as a table for a person. */
export function tellChecks({ rows, violations }: AuditReport): void {
  const width = Math.max(...checks.map(({ id }) => id.length));
  for (const { id, title } of checks) {
    const found = violations.filter(({ check }) => check === id);
    const mark = found.length === 0 && id in rows ? "holds " : "BROKEN";
    say(`${mark}  ${id.padEnd(width)}  ${String(rows[id] ?? "-").padStart(9)} rows  ${title}`);
  }
}

export function inWords({ checks, violations, open }: AuditReport): string {
  const lines = [
    `${checks} checks, ${violations.length} violations.`,
    ...violations.map(({ check, what, rows }) => `  ${check}${rows > 0 ? ` (${rows} rows)` : ""}: ${what}`),
  ];
  const underWay = Object.entries(open ?? {}).filter(([, count]) => count > 0);
  if (underWay.length > 0) lines.push(`  under way: ${underWay.map(([what, count]) => `${what} ${count}`).join(", ")}`);
  return lines.join("\n");
}
