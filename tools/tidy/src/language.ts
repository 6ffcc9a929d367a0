/** What this house does without, of the language and of promises to itself. */

import { type Fault, faultAt, type Rule, type Source, visit } from "./source.ts";

/** No `any`, no `!`, no enum, no parameter property, no default export, no hushed compiler. */
export const language: Rule = ({ sources }) => sources.flatMap((source) => [...constructs(source), ...hushed(source)]);

// Tools that want a default export get one.
const isConfiguration = (path: string): boolean => path.endsWith(".config.ts");

function constructs(source: Source): Fault[] {
  const faults: Fault[] = [];
  const refuse = (what: string) => (node: { start: number }) => faults.push(faultAt(source, node.start, what));
  visit(source, {
    TSAnyKeyword: refuse("any: say what it is, or unknown"),
    TSNonNullExpression: refuse("!: handle the absent value"),
    TSEnumDeclaration: refuse("enum: use a union of texts"),
    TSParameterProperty: refuse("parameter property: declare the field"),
    ...(isConfiguration(source.path) ? {} : { ExportDefaultDeclaration: refuse("default export: name it") }),
    ExportSpecifier(node) {
      if (node.exported.type === "Identifier" && node.exported.name === "default")
        refuse("default export: name it")(node);
    },
  });
  return faults;
}

const hushedCompiler = /@ts-(ignore|expect-error|nocheck)/;

const hushed = (source: Source): Fault[] =>
  source.comments
    .filter(({ value }) => hushedCompiler.test(value))
    .map(({ start, value }) => faultAt(source, start, `the compiler is not hushed: ${value.trim().slice(0, 60)}`));

const promise = /\b(TODO|FIXME)\b/;

/** Work that is not done is not in the code. */
export const promises: Rule = ({ sources, texts }) => [
  ...sources.flatMap((source) =>
    source.comments
      .filter(({ value }) => promise.test(value))
      .map(({ start, value }) => faultAt(source, start, `not done: ${value.trim().slice(0, 60)}`)),
  ),
  ...texts.flatMap((file) =>
    [...file.text.matchAll(new RegExp(promise, "g"))].map(({ index, 0: word }) =>
      faultAt(file, index, `not done: ${word}`),
    ),
  ),
];
