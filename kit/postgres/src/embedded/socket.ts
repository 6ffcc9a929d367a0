import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Account, giveTo } from "./account.ts";

// What fits into a socket's address: 108 bytes on Linux and 104 on macOS, with the zero at the end.
const longestPathBytes = 103;

/**
 * Makes the folder for the server's Unix socket, through which a short transaction costs a fifth less processor than over
 * loopback TCP. Only the cluster's owner may enter it. Undefined where a socket can't be had: the path is too long, or
 * the file system has none.
 */
export async function makeSocketFolder(directory: string, account: Account): Promise<string | undefined> {
  const folder = join(directory, "socket");
  if (Buffer.byteLength(socketIn(folder, 65_535)) > longestPathBytes) return undefined;
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o700);
  await clearSocketFolder(folder);
  if (!(await holdsSockets(folder))) return undefined;
  await giveTo(account, folder);
  return folder;
}

/** Removes what a killed server left: by the number in its lock file, any living process would be taken for it. */
export async function clearSocketFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { force: true });
}

/** The folder as PostgreSQL reads it: an element of a list. */
export const asListElement = (folder: string): string => `"${folder.replaceAll('"', '""')}"`;

const socketIn = (folder: string, port: number): string => join(folder, `.s.PGSQL.${port}`);

async function holdsSockets(folder: string): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(join(folder, randomBytes(4).toString("hex")), () => resolve(true));
  });
  await new Promise((closed) => server.close(closed));
  return isListening;
}
