/** SQL is static text in its place. */

import { type Fault, faultAt, isTest, type Rule, type Source, visit } from "./source.ts";
import { importsOf } from "./walls.ts";

// A service's SQL lies in its store; the kit's beside what it is for; the audit reads all stores at once, which nobody
// else may; benches and drills look at the server itself.
const places = [
  /^services\/[^/]+\/src\/store\//,
  /^kit\/[^/]+\/src\//,
  /^apps\/[^/]+\/src\/audit\//,
  /^(bench|drills|tools|examples)\//,
];

const isPlaceOfSql = (path: string): boolean => isTest(path) || places.some((place) => place.test(path));

// How a statement begins. In lower case and with its second word, so that sentences for people are not taken for it.
const beginsLikeSql =
  /^\s*(select\s[\s\S]*\sfrom\s|insert into\s|update\s+\S+\s+(\w+\s+)?set\s|delete from\s|with\s+\w+\s*(\([^)]*\))?\s+as\s|(create|alter|drop)\s+(table|index|role|schema|database|function|unlogged)\s|truncate\s+\w|lock\s+table\s|begin isolation|set\s+(local|session|role)\s)/;

export const sqlInItsPlace: Rule = ({ sources }) =>
  sources.flatMap((source) => (isPlaceOfSql(source.path) ? [] : [...sqlTexts(source), ...sqlTools(source)]));

function sqlTexts(source: Source): Fault[] {
  const faults: Fault[] = [];
  const look = (text: unknown, offset: number) => {
    if (typeof text === "string" && beginsLikeSql.test(text)) {
      faults.push(faultAt(source, offset, `SQL belongs in a store: ${text.trim().split("\n")[0]?.slice(0, 60)}`));
    }
  };
  visit(source, {
    Literal: (node) => look(node.value, node.start),
    TemplateElement: (node) => look(node.value.cooked, node.start),
  });
  return faults;
}

const tools = new Set(["sql", "composedSql"]);

function sqlTools(source: Source): Fault[] {
  const faults: Fault[] = importsOf(source)
    .filter(({ specifier }) => specifier === "pg")
    .map(({ offset }) => faultAt(source, offset, "the driver is used only where SQL belongs"));
  visit(source, {
    ImportSpecifier(node) {
      const name = node.imported.type === "Identifier" ? node.imported.name : node.imported.value;
      if (tools.has(name)) faults.push(faultAt(source, node.start, `${name}() belongs in a store`));
    },
  });
  return faults;
}

/** A statement's name begins with its owner's, so that a slow-statement log says where to look. */
export const statementNames: Rule = ({ sources }) =>
  sources.flatMap((source) => {
    const [, owner] = /^(?:services|kit)\/([^/]+)\/src\//.exec(source.path) ?? [];
    if (owner === undefined) return [];
    return statementsOf(source)
      .filter(({ name }) => !name.startsWith(`${owner}.`))
      .map(({ name, offset }) => faultAt(source, offset, `statement ${name} is not named ${owner}.something`));
  });

export function statementsOf(source: Source): { name: string; offset: number }[] {
  const found: { name: string; offset: number }[] = [];
  visit(source, {
    CallExpression({ callee, arguments: [first] }) {
      if (callee.type !== "Identifier" || !tools.has(callee.name)) return;
      if (first?.type === "Literal" && typeof first.value === "string") {
        found.push({ name: first.value, offset: first.start });
      }
    },
  });
  return found;
}

// The settings that make PostgreSQL forget, turned to a value that forgets. Reading them is no harm.
const forgetful =
  /\b(?:(?:synchronous_commit|fsync|full_page_writes)["']?\s*(?:=|:|,|\bto\b)\s*["'`]?(?:off|local|remote_write|false|0)\b|create\s+(?:\w+\s+)?unlogged\b|set\s+unlogged\b)/gi;

/** Durability stays PostgreSQL's default everywhere but on the throw-away servers of tests. */
export const durability: Rule = ({ sources, texts }) =>
  [...sources, ...texts.filter(({ path }) => path.endsWith(".sql"))]
    .filter(({ path }) => !path.startsWith("kit/testing/") && !isTest(path))
    .flatMap((file) =>
      [...file.text.matchAll(forgetful)].map(({ index, 0: what }) =>
        faultAt(file, index, `durability is never lowered: ${what}`),
      ),
    );
