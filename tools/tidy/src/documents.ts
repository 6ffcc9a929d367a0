/** Documents lead to what is there, each can be found, and what calls a person is explained. */

import { posix } from "node:path";
import type { ESTree } from "rolldown/utils";
import { type Fault, faultAt, type House, isTest, type Rule, type Source, type TextFile, visit } from "./source.ts";

interface Link {
  readonly from: TextFile;
  readonly target: string;
  readonly offset: number;
}

const markdown = ({ texts }: House): TextFile[] => texts.filter(({ path }) => path.endsWith(".md"));

function linksOf(from: TextFile): Link[] {
  // Code is not a link, whatever brackets it has.
  const text = from.text.replace(/```[\s\S]*?```|`[^`\n]*`/g, (code) => " ".repeat(code.length));
  return [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)]
    .map(({ index, 1: target = "" }) => ({ from, target, offset: index }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));
}

const pathOf = ({ from, target }: Link): string => posix.normalize(posix.join(posix.dirname(from.path), target));

/** A relative link in a document leads to a file or folder that exists. */
export const linksLead =
  (exists: (path: string) => boolean): Rule =>
  (house) =>
    markdown(house)
      .flatMap(linksOf)
      .filter((link) => !exists(pathOf(link)))
      .map((link): Fault => faultAt(link.from, link.offset, `leads nowhere: ${link.target}`));

/** Every document under docs/ is named by another document, itself or its folder. */
export const documentsNamed: Rule = (house) => {
  const named = new Set(
    markdown(house)
      .flatMap(linksOf)
      .filter((link) => pathOf(link) !== link.from.path)
      .map((link) => pathOf(link).replace(/\/$/, "")),
  );
  return markdown(house)
    .filter(({ path }) => path.startsWith("docs/") && !named.has(path) && !named.has(posix.dirname(path)))
    .map((file) => faultAt(file, 0, "no document leads here"));
};

const isRunbook = ({ path }: TextFile): boolean => path.startsWith("docs/runbooks/");

/** What is logged as an error calls for a person, who finds a page about it: it names the fact's metric, or else its words. */
export const alarmsExplained: Rule = (house) => {
  const pages = markdown(house)
    .filter(isRunbook)
    .map(({ text }) => text)
    .join("\n");
  return house.sources
    .filter(({ path }) => !isTest(path))
    .flatMap((source) =>
      alarmsIn(source)
        .filter(({ names }) => !names.some((name) => pages.includes(name)))
        .map(({ names, offset }) => faultAt(source, offset, `no runbook names ${names[0]}`)),
    );
};

interface Alarm {
  readonly names: readonly string[];
  readonly offset: number;
}

function alarmsIn(source: Source): Alarm[] {
  const found: Alarm[] = [];
  visit(source, {
    CallExpression({ callee, arguments: [words, options], start }) {
      if (callee.type !== "Identifier" || callee.name !== "defineFact" || options?.type !== "ObjectExpression") return;
      const said = (name: string): string[] => options.properties.flatMap((property) => textOf(property, name));
      if (said("level").includes("error"))
        found.push({ names: [...said("counter"), ...stringIn(words)], offset: start });
    },
  });
  return found;
}

const textOf = (property: ESTree.ObjectPropertyKind, name: string): string[] =>
  property.type === "Property" && property.key.type === "Identifier" && property.key.name === name
    ? stringIn(property.value)
    : [];

const stringIn = (node: ESTree.Node | undefined): string[] =>
  node?.type === "Literal" && typeof node.value === "string" ? [node.value] : [];

/** A metric that a runbook tells a person to look at is one that we count. */
export const metricsExist: Rule = (house) => {
  const counted = new Set(
    house.sources.flatMap(({ text }) => [...text.matchAll(/"(onsale_\w+)"/g)].map(([, name]) => name)),
  );
  return markdown(house)
    .filter(isRunbook)
    .flatMap((page) =>
      [...page.text.matchAll(/\bonsale_[a-z_]+/g)]
        .filter(([name]) => !counted.has(name))
        .map(({ 0: name, index }) => faultAt(page, index, `nobody counts ${name}`)),
    );
};
