/** Node refuses TypeScript inside node_modules, so what is published is built: JavaScript, declarations, source maps. */

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Manifest, publishedManifest } from "./manifest.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const run = promisify(execFile);

/** One of our packages on its way out: where its source lies and where it is put together. */
interface Parcel {
  readonly manifest: Manifest;
  readonly source: string;
  readonly stage: string;
}

/** Builds and packs the named packages and those of ours that they need; gives the tarballs, needed ones first. */
export async function packInto(directory: string, names: readonly string[]): Promise<string[]> {
  const workshop = await mkdtemp(join(tmpdir(), "onsale-pack-"));
  try {
    await mkdir(directory, { recursive: true });
    const parcels = await parcelsOf(names, workshop);
    const tarballs: string[] = [];
    for (const parcel of parcels) {
      await build(parcel, parcels, workshop);
      await furnish(parcel);
      tarballs.push(join(directory, await tarballOf(parcel, directory)));
    }
    return tarballs;
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** The named packages behind those that they need. */
async function parcelsOf(names: readonly string[], workshop: string): Promise<Parcel[]> {
  const kit = await workspacesIn(join(root, "kit"));
  const parcels = new Map<string, Parcel>();
  const add = (name: string): void => {
    const found = kit.get(name);
    if (!found) throw new Error(`${name} is none of ${[...kit.keys()].join(", ")}: only the kit is published.`);
    const needed = Object.keys(found.manifest.dependencies ?? {}).filter((it) => it.startsWith("@onsale/"));
    for (const other of needed) add(other);
    parcels.set(name, { ...found, stage: join(workshop, name) });
  };
  for (const name of names) add(name);
  return [...parcels.values()];
}

async function workspacesIn(folder: string): Promise<ReadonlyMap<string, Omit<Parcel, "stage">>> {
  const found = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const source = join(folder, name);
      return { source, manifest: await manifestIn(source) };
    }),
  );
  return new Map(found.map((it) => [it.manifest.name, it]));
}

const manifestIn = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, "package.json"), "utf8"));

/** Compiles `src` to `dist`. Of our other packages it sees what they will be for a stranger: the declarations built before. */
async function build({ manifest, source, stage }: Parcel, parcels: readonly Parcel[], workshop: string): Promise<void> {
  const project = join(workshop, `${manifest.name.replaceAll(/\W/g, "-")}.json`);
  await writeFile(
    project,
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        noEmitOnError: true,
        rootDir: join(source, "src"),
        outDir: join(stage, "dist"),
        declaration: true,
        sourceMap: true,
        // A debugger shows the source without the tarball carrying it as files.
        inlineSources: true,
        rewriteRelativeImportExtensions: true,
        typeRoots: [join(root, "node_modules/@types")],
        paths: Object.assign({}, ...parcels.map(declarationsOf)),
      },
      include: [join(source, "src")],
    }),
  );
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  try {
    await run(process.execPath, [tsc, "--project", project]);
  } catch (error) {
    const said = (error as { stdout?: string }).stdout ?? "";
    throw new Error(`${manifest.name} does not compile:\n${said}`, { cause: error });
  }
}

const declarationsOf = ({ manifest, stage }: Parcel): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(manifest.exports).map(([entry, path]) => [
      join(manifest.name, entry),
      [join(stage, path.replace(/^\.\/src\//, "dist/").replace(/\.ts$/, ".d.ts"))],
    ]),
  );

/** Puts beside the built code what else the tarball holds. */
async function furnish({ manifest, source, stage }: Parcel): Promise<void> {
  const { engines } = await manifestIn(root);
  await writeFile(join(stage, "package.json"), `${JSON.stringify(publishedManifest(manifest, engines), null, 2)}\n`);
  await cp(join(root, "LICENSE"), join(stage, "LICENSE"));
  await cp(join(source, "README.md"), join(stage, "README.md"));
  if ((await readdir(source)).includes("migrations"))
    await cp(join(source, "migrations"), join(stage, "migrations"), { recursive: true });
}

/** Packs a finished stage and gives the name of the tarball. */
async function tarballOf({ stage }: Parcel, directory: string): Promise<string> {
  const { stdout } = await run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", directory], {
    cwd: stage,
  });
  return stdout.trim();
}
