/** Compares effects with what was committed, one by one and not by their number. */

import type { Invariant } from "../report.ts";

/** A change that was committed. `version` counts the changes of its key, in the order in which they were made. */
export interface Fact {
  readonly token: string;
  readonly key: string;
  readonly version: number;
}

/** What a consumer did for one change. */
export interface Effect {
  readonly token: string;
  readonly key: string;
}

/**
 * Judges the effects of one consumer, given in the order in which they happened: every committed change has one, none has
 * two, none stems from a change that was not committed, and within a key they follow its changes.
 */
export function judge(facts: readonly Fact[], effects: readonly Effect[], consumer: string): Invariant[] {
  const truth = new Map(facts.map((fact) => [fact.token, fact]));
  const seen = new Set<string>();
  const highest = new Map<string, number>();
  const invented: string[] = [];
  const doubled: string[] = [];
  const reordered: string[] = [];
  for (const { token, key } of effects) {
    const fact = truth.get(token);
    if (!fact) invented.push(`${consumer} acted on ${key} for a change that was not committed (${token})`);
    else if (seen.has(token)) doubled.push(`${consumer} acted twice on ${nameOf(fact)}`);
    else {
      const before = highest.get(key) ?? 0;
      if (fact.version < before) reordered.push(`${consumer} acted on ${nameOf(fact)} after version ${before}`);
      highest.set(key, Math.max(before, fact.version));
    }
    seen.add(token);
  }
  const lost = facts
    .filter(({ token }) => !seen.has(token))
    .map((fact) => `${consumer} never acted on ${nameOf(fact)}`);
  return [
    { id: "none-lost", checked: facts.length, violations: lost },
    { id: "none-invented", checked: effects.length, violations: invented },
    { id: "one-effect", checked: effects.length, violations: doubled },
    { id: "key-order", checked: effects.length, violations: reordered },
  ];
}

const nameOf = ({ key, version }: Fact): string => `version ${version} of ${key}`;
