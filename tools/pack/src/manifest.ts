/** The package.json of a workspace, and what becomes of it when it is published. */

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly license: string;
  readonly type: "module";
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly engines?: Readonly<Record<string, string>>;
}

/** What a tarball holds; npm adds package.json, README.md and LICENSE by itself. */
export const published = ["dist", "migrations"];

/** The manifest as others get it: nothing private, nothing for development, entries that lead to what was built. */
export function publishedManifest(workspace: Manifest, engines: Manifest["engines"]): object {
  const { name, version, description, license, type, exports } = workspace;
  if (description === undefined) throw new Error(`${name} has no description: nobody publishes what is not described.`);
  return {
    name,
    version,
    description,
    license,
    type,
    engines,
    exports: Object.fromEntries(Object.entries(exports).map(([entry, source]) => [entry, builtEntry(source)])),
    files: published,
    dependencies: ranges(workspace.dependencies),
    optionalDependencies: ranges(workspace.optionalDependencies),
    peerDependencies: ranges(workspace.peerDependencies),
  };
}

/** `./src/index.ts` as it lies in the tarball. */
function builtEntry(source: string): { types: string; default: string } {
  const [, path] = /^\.\/src\/(.+)\.ts$/.exec(source) ?? [];
  if (path === undefined) throw new Error(`${source} is no entry that can be built: it is not ./src/....ts`);
  return { types: `./dist/${path}.d.ts`, default: `./dist/${path}.js` };
}

/**
 * Here every version is exact, so that all of us run the same. An application has versions of its own and must not get
 * two of one package, so it is told from which on. Our own packages fit together in one version only; a version before
 * its release promises nothing about the next.
 */
const ranges = (dependencies: Manifest["dependencies"]): Record<string, string> | undefined =>
  dependencies &&
  Object.fromEntries(
    Object.entries(dependencies).map(([name, version]) => [
      name,
      !name.startsWith("@onsale/") && /^\d+\.\d+\.\d+$/.test(version) ? `^${version}` : version,
    ]),
  );
