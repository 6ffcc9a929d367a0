/** Sizes are told and never fail: cut where the thought ends, not where the count does. */

import { type House, isTest, type Source, visit } from "./source.ts";

export interface Size {
  readonly what: string;
  readonly lines: number;
}

const linesOf = ({ text }: Source, { start, end }: { start: number; end: number }): number =>
  text.slice(start, end).split("\n").length;

export const longestFiles = ({ sources }: House, count: number): Size[] =>
  longest(
    sources
      .filter(({ path }) => !isTest(path))
      .map(({ path, text }) => ({ what: path, lines: text.split("\n").length - 1 })),
    count,
  );

export const longestFunctions = ({ sources }: House, count: number): Size[] =>
  longest(sources.filter(({ path }) => !isTest(path)).flatMap(functionsOf), count);

function functionsOf(source: Source): Size[] {
  const found: Size[] = [];
  const add = (node: { start: number; end: number; id?: { name: string } | null; body: unknown }) => {
    if (!node.body) return;
    const line = source.text.slice(0, node.start).split("\n").length;
    found.push({ what: `${source.path}:${line} ${node.id?.name ?? ""}`.trimEnd(), lines: linesOf(source, node) });
  };
  visit(source, { FunctionDeclaration: add, FunctionExpression: add, ArrowFunctionExpression: add });
  return found;
}

const longest = (sizes: readonly Size[], count: number): Size[] =>
  [...sizes].sort((one, other) => other.lines - one.lines).slice(0, count);
