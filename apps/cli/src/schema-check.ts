/** The definitions of this checkout against what was frozen, in the working tree or in a commit. */

import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventsByOwner } from "@onsale/contracts/events";
import { type Break, type FrozenEvent, judge } from "@onsale/messaging";
import { services } from "./audit/subscriptions.ts";
import { checkout } from "./checkout.ts";
import { CommandFailure } from "./output.ts";

/** What `schema check -o json` prints. */
export interface CheckedSchemas {
  /** Types that were frozen and are judged. */
  readonly checked: number;
  readonly breaks: readonly Break[];
  /** Types that nothing has been promised about there. */
  readonly added: readonly string[];
}

const folder = "contracts/frozen";

export async function checkSchemas(ref?: string): Promise<CheckedSchemas> {
  const frozen = await (ref === undefined ? frozenHere() : frozenIn(ref));
  // A check that finds nothing to check must not pass for one that found nothing wrong.
  if (frozen.length === 0) throw new CommandFailure(`There is nothing frozen in ${folder}${ref ? ` of ${ref}` : ""}.`);
  const definitions = Object.values(eventsByOwner).flat();
  const hearers = services.flatMap(({ consumers }) => consumers);
  const known = new Set(frozen.map(({ type }) => type));
  return {
    checked: frozen.length,
    breaks: judge(definitions, frozen, hearers),
    added: definitions.map(({ type }) => type).filter((type) => !known.has(type)),
  };
}

async function frozenHere(): Promise<FrozenEvent[]> {
  const names = await readdir(join(checkout, folder)).catch(() => []);
  const files = names.filter((name) => name.endsWith(".json")).sort();
  return Promise.all(files.map(async (name) => parse(name, await readFile(join(checkout, folder, name), "utf8"))));
}

async function frozenIn(ref: string): Promise<FrozenEvent[]> {
  // Resolved first: what is no commit must not be taken for an option or a path by what follows.
  const commit = (await git("rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`)).trim();
  const listed = await git("ls-tree", "-r", "--full-tree", "--name-only", commit, `${folder}/`);
  const paths = listed.split("\n").filter((path) => path.endsWith(".json"));
  return Promise.all(paths.map(async (path) => parse(path, await git("show", `${commit}:${path}`))));
}

const run = promisify(execFile);

// Far above any frozen file: a type that changed a hundred times has a megabyte.
const maximumBytes = 64 * 1024 * 1024;

async function git(...args: readonly string[]): Promise<string> {
  try {
    return (await run("git", ["-C", checkout, ...args], { maxBuffer: maximumBytes })).stdout;
  } catch (error) {
    const { code, stderr = "" } = error as { code?: unknown; stderr?: string };
    if (code === "ENOENT")
      throw new CommandFailure("There is no git on this machine; without --against none is needed.");
    throw new CommandFailure(`git knows no such commit here: git ${args.join(" ")} ${stderr.trim()}`.trim());
  }
}

function parse(path: string, text: string): FrozenEvent {
  try {
    const frozen = JSON.parse(text) as FrozenEvent;
    if (typeof frozen.type === "string" && Array.isArray(frozen.shapes)) return frozen;
  } catch {
    // Told below, with the file's name.
  }
  throw new CommandFailure(`${path} is no frozen event.`);
}
