import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkout } from "./checkout.ts";
import { type Configuration, configuration } from "./configuration.ts";

/** Where the parts of one shop's embedded data lie. */
export interface DataFolder {
  readonly root: string;
  readonly postgres: string;
  readonly provider: string;
  readonly secrets: string;
  /** Who runs on this data: one file per process that does, or wants to. */
  readonly holders: string;
  /** What the running server tells about itself. */
  readonly serverFile: string;
  readonly portsFile: string;
  /** Which database belongs to the rest of the folder. */
  readonly databaseFile: string;
  /** The broker's, where one runs beside the shop. */
  readonly kafka: string;
  /** The log of the Redis beside the shop, where there is one. It keeps nothing else. */
  readonly redis: string;
  /** Where events go. */
  readonly eventLogFile: string;
  readonly log: string;
}

const marker = ".onsale-data";
const markerText = "Data of an Onsale shop. `onsale reset` removes it.\n";

/** What lies in a folder of ours; nothing else in it is ever removed. `replay` is the journal of the replay command. */
const ours = [
  "postgres",
  "provider",
  "secrets",
  "database.json",
  "kafka",
  "redis",
  "events.json",
  "server.json",
  "ports.json",
  "onsale.log",
  "onsale.log.1",
  "replay",
  // Whoever removes the folder holds it; so this goes last.
  "holders",
];

/** The folder to work on: the option, else the setting, else the checkout's own. */
export function dataFolder(option: string | undefined, { data }: Configuration = configuration()): DataFolder {
  return foldersIn(resolve(option ?? data ?? join(checkout, ".onsale/data")));
}

export const foldersIn = (root: string): DataFolder => ({
  root,
  postgres: join(root, "postgres"),
  provider: join(root, "provider"),
  secrets: join(root, "secrets"),
  holders: join(root, "holders"),
  serverFile: join(root, "server.json"),
  portsFile: join(root, "ports.json"),
  databaseFile: join(root, "database.json"),
  kafka: join(root, "kafka"),
  redis: join(root, "redis"),
  eventLogFile: join(root, "events.json"),
  log: join(root, "onsale.log"),
});

/** The folder is somebody else's: it has things in it and was not made by us. */
export class ForeignFolderError extends Error {
  override readonly name = "ForeignFolderError";
}

/** Makes the folder and its parts, closed to other users. */
export async function makeDataFolder({ root, postgres, provider, secrets, holders }: DataFolder): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 }).catch(explainRefusal);
  const before = await readdir(root).catch(explainRefusal);
  if (before.length > 0 && !before.includes(marker))
    throw new ForeignFolderError(
      `${root} has files in it that are not Onsale's. Choose another folder, or an empty one.`,
    );
  await writeFile(join(root, marker), markerText, { mode: 0o600 }).catch(explainRefusal);
  for (const part of [postgres, provider, secrets, holders]) await mkdir(part, { recursive: true, mode: 0o700 });
}

/** The folder can't be used by this user. */
export class ForbiddenFolderError extends Error {
  override readonly name = "ForbiddenFolderError";
}

function explainRefusal(cause: NodeJS.ErrnoException): never {
  if (!["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"].includes(cause.code ?? "")) throw cause;
  throw new ForbiddenFolderError(
    `${cause.path} can't be used as Onsale's data folder by this user (${cause.code}). Choose another with --data.`,
    { cause },
  );
}

/** Whether there is a shop's data in the folder; throws where there is something else. */
export async function isDataFolder({ root }: DataFolder): Promise<boolean> {
  const entries = await readdir(root).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (entries.length === 0) return false;
  if (!entries.includes(marker))
    throw new ForeignFolderError(`${root} does not look like Onsale's data: nothing was removed.`);
  return true;
}

/** Removes what is ours; the marker goes last, so that a removal that was interrupted can be repeated. */
export async function removeData({ root }: DataFolder): Promise<{ left: string[] }> {
  for (const name of [...ours, marker]) await rm(join(root, name), { recursive: true, force: true, maxRetries: 3 });
  const left = await readdir(root);
  if (left.length === 0) await rm(root, { recursive: true });
  return { left };
}
