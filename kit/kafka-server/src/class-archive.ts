/** The broker's classes as the virtual machine keeps them in memory, in one file beside the jars: half of a start is reading them. */

import { mkdtemp, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/**
 * Options by which a Java program with these jars finds its classes. The archive is made when it is not there, in one
 * throw-away run: `runOnce` starts the program with the options that it is given and ends it in good order. One that the
 * installed Java can't use is passed over by Java itself. What fails here costs time later and nothing else.
 */
export async function classArchive(
  jars: string,
  runOnce: (directory: string, options: readonly string[]) => Promise<void>,
): Promise<readonly string[]> {
  const archive = join(jars, "classes.jsa");
  if (!(await isFile(archive))) await make(archive, jars, runOnce).catch(() => undefined);
  return (await isFile(archive)) ? [`-XX:SharedArchiveFile=${archive}`, "-Xshare:auto"] : [];
}

async function make(archive: string, jars: string, runOnce: Parameters<typeof classArchive>[1]): Promise<void> {
  const directory = await mkdtemp(`${jars}-archive-`);
  try {
    // Written elsewhere and then renamed: a file of this name is complete, whatever died.
    const unfinished = join(directory, "classes.jsa");
    await runOnce(directory, [`-XX:ArchiveClassesAtExit=${unfinished}`]);
    await rename(unfinished, archive);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
