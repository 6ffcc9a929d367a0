/** Documents lead to what is there, and each can be found. */

import { posix } from "node:path";
import { type Fault, faultAt, type House, type Rule, type TextFile } from "./source.ts";

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
