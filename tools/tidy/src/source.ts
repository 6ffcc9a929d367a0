/** The files that the rules look at, parsed once. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ESTree, type ParseResult, parseSync, Visitor, type VisitorObject } from "rolldown/utils";

/** One TypeScript file. Paths are relative to the root of the checkout, with forward slashes. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: ESTree.Program;
  readonly comments: ParseResult["comments"];
}

/** Any other file with text in it: SQL, Markdown. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** One workspace, and what its package.json says it needs. */
export interface Package {
  /** Folder relative to the root: `kit/http`. */
  readonly folder: string;
  readonly name: string;
  /** `dependencies`, `optionalDependencies`, `peerDependencies`. */
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
  /** The files that its `exports` name. */
  readonly entries: readonly string[];
}

/** Everything that there is to be tidy. */
export interface House {
  readonly sources: readonly Source[];
  readonly texts: readonly TextFile[];
  readonly packages: readonly Package[];
  /** Files that have a syntax error; they are not among the sources. */
  readonly unparsed: readonly Fault[];
  /** What the root declares for the development of all packages. */
  readonly rootDevDependencies: readonly string[];
}

/** A rule broken in one place. */
export interface Fault {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly what: string;
}

/** What the house says about itself, one function per rule. */
export type Rule = (house: House) => Fault[];

/** Parses TypeScript; a file with a syntax error is a fault. */
export function parse(path: string, text: string): Source | Fault {
  const { program, comments, errors } = parseSync(path, text);
  const [error] = errors;
  if (error) return { path, line: 1, what: `does not parse: ${error.message}` };
  return { path, text, program, comments };
}

export const isSource = (parsed: Source | Fault): parsed is Source => "program" in parsed;

export const visit = (source: Source, visitor: VisitorObject): void => new Visitor(visitor).visit(source.program);

export const faultAt = ({ path, text }: TextFile, offset: number, what: string): Fault => ({
  path,
  line: text.slice(0, offset).split("\n").length,
  what,
});

export const shown = ({ path, line, what }: Fault): string => `${path}:${line}: ${what}`;

export const isTest = (path: string): boolean => /(^|\/)test\//.test(path) || path.endsWith(".test.ts");

/** Reads the checkout whose folder, with a slash at its end, is `root`, what is generated or installed left out. */
export async function readHouse(root: URL): Promise<House> {
  const paths = await filesUnder(fileURLToPath(root), "");
  const texts = await Promise.all(
    paths
      .filter((path) => /\.(ts|sql|md|json)$/.test(path) && path !== "package-lock.json")
      .map(async (path) => ({ path, text: await readFile(new URL(path, root), "utf8") })),
  );
  const parsed = texts.filter(({ path }) => path.endsWith(".ts")).map(({ path, text }) => parse(path, text));
  const manifests = texts.filter(({ path }) => /(^|\/)package\.json$/.test(path));
  return {
    sources: parsed.filter(isSource),
    unparsed: parsed.filter((it): it is Fault => !isSource(it)),
    texts: texts.filter(({ path }) => /\.(sql|md)$/.test(path)),
    packages: manifests.filter(({ path }) => path !== "package.json").map(({ path, text }) => packageOf(path, text)),
    rootDevDependencies: manifests
      .filter(({ path }) => path === "package.json")
      .flatMap(({ text }) => Object.keys((JSON.parse(text) as Manifest).devDependencies ?? {})),
  };
}

interface Manifest {
  readonly name: string;
  readonly exports?: string | Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export function packageOf(path: string, text: string): Package {
  const manifest = JSON.parse(text) as Manifest;
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, devDependencies = {} } = manifest;
  const folder = path.replace(/\/package\.json$/, "");
  const exported = typeof manifest.exports === "string" ? [manifest.exports] : Object.values(manifest.exports ?? {});
  return {
    folder,
    name: manifest.name,
    dependencies: Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }),
    devDependencies: Object.keys(devDependencies),
    entries: exported.map((entry) => `${folder}/${entry.replace(/^\.\//, "")}`),
  };
}

async function filesUnder(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.name.startsWith(".") || entry.name === "node_modules" || entry.name === "coverage") return [];
      return entry.isDirectory() ? filesUnder(root, path) : entry.isFile() ? [path] : [];
    }),
  );
  return found.flat().sort();
}
