import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, chmod, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Account, giveTo } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { killProcessesOf } from "./postmaster.ts";

const run = promisify(execFile);

/** The administrator of the cluster, and the database that it is for. */
export const administrator = "onsale";
export const databaseName = "onsale";

/** A PostgreSQL cluster on disk. */
export interface Cluster {
  readonly data: string;
  /** The administrator's, from a file beside the cluster that only we can read. */
  readonly password: string;
}

/**
 * Opens the cluster of a directory, making it when there is none. It is made under another name, so that a kill in the
 * middle leaves no half of a cluster, only waste that the next start removes. The caller holds the directory's lock.
 */
export async function openCluster(directory: string, account: Account, binaries: Binaries): Promise<Cluster> {
  const data = join(directory, "data");
  await removeUnfinished(directory);
  const passwordFile = join(directory, "password");
  if (await exists(join(data, "PG_VERSION"))) {
    await giveTo(account, data);
    return { data, password: await readPassword(passwordFile) };
  }
  const password = randomBytes(24).toString("base64url");
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  await chmod(passwordFile, 0o600);
  await initialise({ directory, data, password, account, binaries });
  return { data, password };
}

const unfinishedPrefix = "unfinished-";

async function removeUnfinished(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(unfinishedPrefix));
  for (const name of names) {
    // The programs of a killed start may still be writing into it.
    await killProcessesOf(join(directory, name, "data"));
    await rm(join(directory, name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new Error(`The password of the database is missing: ${file}.`, { cause });
  }
}

async function initialise(make: {
  directory: string;
  data: string;
  password: string;
  account: Account;
  binaries: Binaries;
}): Promise<void> {
  const { directory, data, password, account, binaries } = make;
  const workshop = join(directory, `${unfinishedPrefix}${randomBytes(6).toString("hex")}`);
  const unfinished = join(workshop, "data");
  const passwordFile = join(workshop, "password");
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  await giveTo(account, workshop);
  const { file, args, options } = account.command(binaries.initdb, [
    ...["--pgdata", unfinished, "--username", administrator, "--pwfile", passwordFile, "--auth", "scram-sha-256"],
    // Text sorts by code point, the same on every machine and for ever; no library's update can damage an index.
    ...["--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"],
    // The password is 24 random bytes: to hash it thousands of times protects nobody, and would cost each connection 2 ms.
    ...["--set", "scram_iterations=1"],
    "--no-instructions",
  ]);
  try {
    await run(file, args, { ...options, cwd: "/", timeout: 120_000 });
  } catch (error) {
    const { stderr, message, code } = error as { stderr?: string; message: string; code?: unknown };
    // The file is there; what is missing is the loader that it was linked for.
    if (code === "ENOENT") {
      throw new Error(
        `The PostgreSQL that comes with Onsale needs a system with glibc. Use an existing PostgreSQL instead.`,
        { cause: error },
      );
    }
    throw new Error(`PostgreSQL could not make its files in ${directory}: ${stderr?.trim() || message}`, {
      cause: error,
    });
  }
  await rename(unfinished, data);
  await syncDirectory(directory);
  await rm(workshop, { recursive: true, force: true });
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
