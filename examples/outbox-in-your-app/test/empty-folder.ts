/** A stranger's folder: the example, the packed tarballs, and nothing else of ours. */

import { execFile } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const example = fileURLToPath(new URL("../", import.meta.url));
const run = promisify(execFile);

/** What of the example a reader copies. */
const copied = ["box-office.ts", "chat.ts", "migrations"];

/** Types of what the example uses beside ours, for the compiler. */
const typePackages = ["@types/node", "@types/pg"];

/** Packs `@onsale/messaging` and what it needs of ours; gives the tarballs by package name. */
export async function packMessaging(into: string): Promise<ReadonlyMap<string, string>> {
  const pack = join(root, "tools/pack/src/main.ts");
  const { stdout } = await run(process.execPath, [pack, into, "@onsale/messaging"]);
  const tarballs = stdout.trim().split("\n");
  return new Map(tarballs.map((path) => [/onsale-(\w+)-[^/]*\.tgz$/.exec(path)?.[1] ?? "", path] as const).map(named));
}

const named = ([name, path]: readonly [string, string]) => [`@onsale/${name}`, path] as const;

export const filesIn = async (tarball: string): Promise<string[]> =>
  (await run("tar", ["-tzf", tarball])).stdout
    .trim()
    .split("\n")
    .map((path) => path.replace(/^package\//, ""));

/**
 * Installs the example in `folder` from the tarballs, without a registry: what they need of others is laid there first, from
 * where the checkout has it. What no package asks for is not there.
 */
export async function installExample(folder: string, tarballs: ReadonlyMap<string, string>): Promise<void> {
  for (const name of copied) await cp(join(example, name), join(folder, name), { recursive: true });
  const manifest = await manifestAt(example);
  const needed = new Set<string>();
  for (const name of [...Object.keys(manifest.dependencies ?? {}), ...typePackages]) await addNeeded(name, needed);
  for (const name of needed) {
    if (tarballs.has(name)) continue;
    await cp(join(root, "node_modules", name), join(folder, "node_modules", name), { recursive: true });
  }
  const ours = Object.fromEntries([...tarballs].map(([name, path]) => [name, `file:${path}`]));
  const dependencies = { ...manifest.dependencies, ...ours };
  // Of whichever version was laid there; a package that nobody asks for would be cleared away.
  const devDependencies = Object.fromEntries(typePackages.map((name) => [name, "*"]));
  await writeFile(join(folder, "package.json"), JSON.stringify({ ...manifest, dependencies, devDependencies }));
  const quiet = ["--offline", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...quiet], { cwd: folder });
}

/** Imports every entry of the packages from the folder, in a process of its own; gives their names. */
export async function importEntries(folder: string, packages: Iterable<string>): Promise<string[]> {
  const entries: string[] = [];
  for (const name of packages) {
    const { exports = {} } = await manifestAt(join(folder, "node_modules", name));
    entries.push(...Object.keys(exports).map((entry) => `${name}${entry.slice(1)}`));
  }
  const program = entries.map((entry) => `await import(${JSON.stringify(entry)});`).join("\n");
  await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: folder });
  return entries;
}

/** Lays the programs of the packages' READMEs beside the example, under the names that stand there; gives the names. */
export async function layPrograms(folder: string, packages: Iterable<string>): Promise<string[]> {
  const programs: string[] = [];
  for (const name of packages) {
    const readme = await readFile(join(folder, "node_modules", name, "README.md"), "utf8");
    for (const [, file = "", program = ""] of readme.matchAll(/^```ts (\S+)\n([\s\S]*?)^```/gm)) {
      await writeFile(join(folder, file), program);
      programs.push(file);
    }
  }
  return programs;
}

interface Manifest {
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const manifestAt = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, "package.json"), "utf8"));

async function addNeeded(name: string, found: Set<string>): Promise<void> {
  if (found.has(name)) return;
  found.add(name);
  const { dependencies = {} } = await manifestAt(join(root, "node_modules", name));
  for (const needed of Object.keys(dependencies)) await addNeeded(needed, found);
}

/** Compiles the folder's TypeScript against what was installed, declarations of packages included; gives what is wrong. */
export async function compile(folder: string): Promise<string> {
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        target: "es2024",
        lib: ["es2024", "esnext.disposable"],
        module: "nodenext",
        types: ["node"],
        strict: true,
        noEmit: true,
        skipLibCheck: false,
      },
      include: ["*.ts"],
    }),
  );
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  return run(process.execPath, [tsc, "--project", folder]).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
}
