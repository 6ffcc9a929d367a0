/**
 * Where a rule makes a place worse it is broken there, and the line above says which rule and why:
 *
 *     // Despite "tests do not sleep": the server said how long to wait, and a client has to obey.
 *
 * The rules' test counts these and tells them.
 */

import { type Fault, faultAt, type House, type Rule } from "./source.ts";

export interface Exception {
  readonly path: string;
  /** The line that is excused. */
  readonly line: number;
  readonly rule: string;
  readonly reason: string;
}

// Fewer characters than this are a label, not a reason.
const shortestReason = 20;

export const exceptionsIn = ({ sources }: House): Exception[] =>
  sources.flatMap((source) =>
    source.comments.flatMap(({ type, value, end }) => {
      const [, rule, reason] = /^\s*Despite "([^"]+)": (.*)$/.exec(value) ?? [];
      if (type !== "Line" || rule === undefined || reason === undefined || reason.length < shortestReason) return [];
      return [{ path: source.path, line: faultAt(source, end, "").line + 1, rule, reason }];
    }),
  );

/** The same rule, its exceptions left out. */
export const excepting =
  (name: string, rule: Rule): Rule =>
  (house) => {
    const excused = exceptionsIn(house).filter((exception) => exception.rule === name);
    const isExcused = (fault: Fault) => excused.some(({ path, line }) => path === fault.path && line === fault.line);
    return rule(house).filter((fault) => !isExcused(fault));
  };
