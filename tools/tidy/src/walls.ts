/** Imports go one way: kit <- contracts <- services <- apps, drills, bench. */

import { isBuiltin } from "node:module";
import { posix } from "node:path";
import { type Fault, faultAt, type House, isTest, type Package, type Rule, type Source, visit } from "./source.ts";

/** What one file asks for by name: import, export from, import(), or a type's import. */
export interface Import {
  readonly source: Source;
  readonly specifier: string;
  readonly offset: number;
  /** Only types: nothing is loaded. */
  readonly typeOnly: boolean;
}

export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const add = (from: { value: unknown; start: number } | null, typeOnly: boolean) => {
    if (from && typeof from.value === "string") {
      found.push({ source, specifier: from.value, offset: from.start, typeOnly });
    }
  };
  visit(source, {
    ImportDeclaration: (node) => add(node.source, node.importKind === "type"),
    ExportNamedDeclaration: (node) => add(node.source, node.exportKind === "type"),
    ExportAllDeclaration: (node) => add(node.source, node.exportKind === "type"),
    ImportExpression: (node) => add(node.source.type === "Literal" ? (node.source as never) : null, false),
    TSImportType: (node) => add(node.source, true),
  });
  return found;
}

type Layer = "kit" | "contracts" | "services" | "apps" | "tools";

/** Which layers each may import from; its own package aside. */
const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  kit: ["kit"],
  contracts: ["kit"],
  services: ["kit", "contracts"],
  apps: ["kit", "contracts", "services", "apps"],
  // Generators and checks look at the whole house, and nobody looks at them.
  tools: ["kit", "contracts", "services", "apps", "tools"],
};

/** Benches, drills and examples are compositions, as apps are. */
function layerOf({ folder }: Package): Layer {
  const [first = ""] = folder.split("/");
  return (["kit", "contracts", "services", "tools"] as const).find((layer) => layer === first) ?? "apps";
}

/** Between packages: layers, declared dependencies, no way past a package's entry. */
export const walls: Rule = (house) => house.sources.flatMap((source) => importsOf(source).flatMap(faultsOf(house)));

const faultsOf =
  (house: House) =>
  (it: Import): Fault[] => {
    const home = packageAt(house, it.source.path);
    const fault = (what: string): Fault[] => [faultAt(it.source, it.offset, what)];
    if (it.specifier.startsWith(".")) return relativeFaults(it, home, fault);
    if (isBuiltin(it.specifier))
      return it.specifier.startsWith("node:") ? [] : fault(`import node:${it.specifier} by its full name`);
    if (!home) return [];
    const target = house.packages.find(({ name }) => name === packageNameOf(it.specifier));
    return [
      ...(target ? layerFaults(it, home, target, fault) : []),
      ...(isDeclared(house, home, it)
        ? []
        : fault(`${packageNameOf(it.specifier)} is not declared in ${home.folder}/package.json`)),
    ];
  };

type Complain = (what: string) => Fault[];

function relativeFaults({ source, specifier }: Import, home: Package | undefined, fault: Complain): Fault[] {
  const path = posix.join(posix.dirname(source.path), specifier);
  if (home && !path.startsWith(`${home.folder}/`)) return fault(`reaches out of ${home.folder} by path: ${specifier}`);
  if (!/\.\w+$/.test(specifier)) return fault(`name the file with its extension: ${specifier}`);
  return [];
}

function layerFaults({ source, specifier }: Import, home: Package, target: Package, fault: Complain): Fault[] {
  const [from, to] = [layerOf(home), layerOf(target)];
  // A test may come in by the front door.
  if (home === target) return isTest(source.path) ? [] : fault(`import files of ${home.name} by path, not by its name`);
  if (from === "services" && to === "services") {
    return fault(`${home.folder} imports ${target.folder}: services meet only in contracts`);
  }
  if (!mayImport[from].includes(to))
    return fault(`${home.folder} imports ${target.folder}: ${from} may not import ${to}`);
  if (from === "contracts" && target.name !== "@onsale/messaging") {
    return fault(`contracts import ${specifier}: of the kit they may know only @onsale/messaging`);
  }
  return [];
}

/** Tests may also use what the root declares for everybody's development, and the kit's test tools. */
function isDeclared({ rootDevDependencies }: House, home: Package, { source, specifier }: Import): boolean {
  const name = packageNameOf(specifier);
  if (home.name === name || home.dependencies.includes(name)) return true;
  const isForDevelopment = isTest(source.path) || home.name === "@onsale/testing" || home.folder.startsWith("tools/");
  if (!isForDevelopment) return false;
  return home.devDependencies.includes(name) || rootDevDependencies.includes(name) || name === "@onsale/testing";
}

/** No two packages need each other, tests aside. */
export const cycles: Rule = (house) => {
  const edges = packageGraph(house);
  return house.packages.flatMap(({ folder, name }) => {
    const way = wayBack(edges, name, name, []);
    return way ? [{ path: `${folder}/package.json`, line: 1, what: `imports in a circle: ${way.join(" -> ")}` }] : [];
  });
};

/** Which workspaces each workspace's own code imports, tests left out; by name, sorted. */
export function packageGraph(house: House): ReadonlyMap<string, readonly string[]> {
  const names = new Set(house.packages.map(({ name }) => name));
  const edges = new Map<string, Set<string>>(house.packages.map(({ name }) => [name, new Set()]));
  for (const { source, specifier } of house.sources.filter(({ path }) => !isTest(path)).flatMap(importsOf)) {
    const home = packageAt(house, source.path);
    const target = packageNameOf(specifier);
    if (home && names.has(target) && target !== home.name) edges.get(home.name)?.add(target);
  }
  return new Map([...edges].map(([name, targets]) => [name, [...targets].sort()]));
}

function wayBack(
  edges: ReadonlyMap<string, readonly string[]>,
  at: string,
  start: string,
  passed: readonly string[],
): string[] | undefined {
  for (const next of edges.get(at) ?? []) {
    if (next === start) return [...passed, at, start];
    const way = passed.includes(at) ? undefined : wayBack(edges, next, start, [...passed, at]);
    if (way) return way;
  }
  return undefined;
}

export const packageAt = ({ packages }: House, path: string): Package | undefined =>
  packages.find(({ folder }) => path.startsWith(`${folder}/`));

const packageNameOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
