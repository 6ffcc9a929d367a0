import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { request } from "undici";

/** Who serves a directory: written by the process itself once it listens. */
export interface Holder {
  readonly pid: number;
  readonly port: number;
  /** Also told by the process over HTTP: a pid alone may belong to somebody else by now. */
  readonly nonce: string;
}

const pathIn = (directory: string): string => join(directory, "provider.json");

export const newNonce = (): string => randomUUID();

export async function writeHolder(directory: string, holder: Holder): Promise<void> {
  const path = pathIn(directory);
  // Renamed into place, so that a reader never sees half of it.
  await writeFile(`${path}.new`, `${JSON.stringify(holder)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The process that serves this directory now, or undefined. One that is dead, or is somebody else, does not count. */
export async function findHolder(directory: string): Promise<Holder | undefined> {
  let holder: Holder;
  try {
    holder = JSON.parse(await readFile(pathIn(directory), "utf8"));
    const { body } = await request(`http://127.0.0.1:${holder.port}/health`, {
      headersTimeout: 2_000,
      bodyTimeout: 2_000,
    });
    const { nonce } = (await body.json()) as { nonce?: string };
    return nonce === holder.nonce ? holder : undefined;
  } catch {
    return undefined;
  }
}
