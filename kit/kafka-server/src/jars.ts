/** The jars of Maven Central, fetched once into a folder of ours. */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A profile of `pom.xml`. */
export type RealPart = "kafka" | "connect" | "debezium";

const ownPom = fileURLToPath(new URL("../pom.xml", import.meta.url));

// A minute on an idle machine with an empty Maven cache; a slow line takes its time.
const fetchMs = 15 * 60_000;

/** Whether a part's jars lie in `jars`, in the versions that we ask for. */
export async function areFetched(jars: string, part: RealPart): Promise<boolean> {
  return await isFolder(await folderOf(jars, part, ownPom));
}

/** The folder with a part's jars, fetched from Maven Central when they are not there. Several processes may ask at once. */
export async function fetchJars(jars: string, part: RealPart): Promise<string>;
/** The same for a profile of another file than ours. */
export async function fetchJars(jars: string, profile: string, pom: string): Promise<string>;
export async function fetchJars(jars: string, part: string, pom = ownPom): Promise<string> {
  const folder = await folderOf(jars, part, pom);
  if (await isFolder(folder)) return folder;
  await mkdir(jars, { recursive: true });
  // Filled elsewhere and then renamed: a folder of this name is complete, whatever died.
  const unfinished = await mkdtemp(join(jars, `${part}-unfinished-`));
  try {
    await copyDependencies(part, unfinished, pom);
    await rename(unfinished, folder).catch(async (error: unknown) => {
      const anotherWasFirst = await isFolder(folder);
      if (!anotherWasFirst) throw error;
    });
    return folder;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function copyDependencies(part: string, folder: string, pom: string): Promise<void> {
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${folder}`];
  try {
    await run("mvn", ["-q", "-B", "-f", pom, "-P", part, ...goal], { timeout: fetchMs, maxBuffer: 16 * 1024 * 1024 });
  } catch (cause) {
    const { stdout = "" } = cause as { stdout?: string };
    const words = stdout.split("\n").find((line) => line.includes("[ERROR]")) ?? "";
    throw new Error(`The jars of ${part} could not be fetched from Maven Central. ${words}`.trim(), { cause });
  }
}

/** Named after what is asked for, so that a new version never meets the jars of the old. */
async function folderOf(jars: string, part: string, pom: string): Promise<string> {
  const fingerprint = createHash("sha256")
    .update(await readFile(pom))
    .digest("hex")
    .slice(0, 12);
  return join(jars, `${part}-${fingerprint}`);
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
