import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Another living process runs the embedded PostgreSQL of this directory. */
export class EmbeddedPostgresInUseError extends Error {
  override readonly name = "EmbeddedPostgresInUseError";
  /** Process id of who holds it, as it wrote it down; undefined when it has just begun or ended. */
  readonly holder: number | undefined;
  constructor(directory: string, holder: number | undefined) {
    super(`${directory} is in use by ${holder === undefined ? "another process" : `process ${holder}`}.`);
    this.holder = holder;
  }
}

export interface DirectoryLock {
  release(): void;
}

/**
 * Holds a directory for this process until `release` or the process's death, whatever kills it: the kernel keeps the
 * lock, so none is ever left over and no process id has to be believed. Node offers no file lock of its own; SQLite,
 * which comes with it, takes one on an empty database.
 */
export function lockDirectory(directory: string): DirectoryLock {
  const holderFile = join(directory, "holder");
  const database = new DatabaseSync(join(directory, "lock"), { timeout: 0 });
  try {
    database.exec("begin exclusive");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === sqliteBusy)
      throw new EmbeddedPostgresInUseError(directory, readHolder(holderFile));
    throw error;
  }
  writeFileSync(holderFile, `${process.pid}\n`);
  return {
    release() {
      rmSync(holderFile, { force: true });
      database.close();
    },
  };
}

const sqliteBusy = 5;

function readHolder(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, "utf8"), 10) || undefined;
  } catch {
    return undefined;
  }
}
