import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Static, Type } from "typebox";
import type { DataFolder } from "./data-folder.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";
import { isAlive, ownMark, ProcessMark } from "./process-mark.ts";

const Holder = Type.Object({
  process: ProcessMark,
  /** The command that it runs: `up` stays, others end by themselves. */
  verb: Type.String(),
  since: Type.String(),
});

/** A process that has something for itself: runs a shop on some data, or plays a file into one. */
export type Holder = Static<typeof Holder>;

/** Another process runs on this data. */
export class DataHeldError extends Error {
  override readonly name = "DataHeldError";
  readonly holder: Holder;
  constructor({ root }: DataFolder, holder: Holder, url?: string) {
    const where = url === undefined ? "" : `, and serves ${url}`;
    super(
      `${root} is held by \`onsale ${holder.verb}\`: process ${holder.process.pid}, since ${holder.since}${where}.`,
    );
    this.holder = holder;
  }
}

export interface Hold {
  release(): Promise<void>;
}

// Two that come at the same moment both step back; the random pause lets one of them in.
const attempts = 5;
const longestPauseMs = 150;

/**
 * Takes the data for this process.
 * @throws {DataHeldError}
 */
export async function takeData(data: DataFolder, verb: string): Promise<Hold> {
  const taken = await take(data.holders, verb);
  if ("holder" in taken) throw new DataHeldError(data, taken.holder);
  return taken;
}

/**
 * Takes for this process what the files in the folder `holders` are put up for, or tells who has it. Everybody who wants it
 * puts up a file of his own, then looks: who sees another living one takes his down again. Files have names of their own, so
 * removing a dead one can never remove a living one's, and a file that outlives its process counts for nothing.
 */
export async function take(holders: string, verb: string): Promise<Hold | { readonly holder: Holder }> {
  mkdirSync(holders, { recursive: true, mode: 0o700 });
  const own = join(holders, `${process.pid}-${randomUUID()}.json`);
  for (let attempt = 1; ; attempt++) {
    writeJsonFile(own, { process: ownMark(), verb, since: new Date().toISOString() } satisfies Holder);
    const holder = await livingAmong(holders, own);
    if (holder === undefined) return { release: () => rm(own, { force: true }) };
    await rm(own, { force: true });
    if (attempt === attempts) return { holder };
    await sleep(Math.random() * longestPauseMs);
  }
}

/** Who runs on this data, or nobody. */
export const livingHolder = ({ holders }: DataFolder): Promise<Holder | undefined> => livingAmong(holders);

/** Files of the dead are removed on the way. */
async function livingAmong(holders: string, except?: string): Promise<Holder | undefined> {
  const names = await readdir(holders).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const path of names.filter((name) => name.endsWith(".json")).map((name) => join(holders, name))) {
    if (path === except) continue;
    const holder = await readJsonFile(path, Holder);
    if (holder !== undefined && isAlive(holder.process)) return holder;
    await rm(path, { force: true });
  }
  return undefined;
}
