import { access, chmod, constants, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reapWhenWeDie } from "./reaper.ts";

const gibibyte = 2 ** 30;
// A whole run holds 0.6 GiB at once.
const roomNeeded = 2 * gibibyte;
// The tests' servers need memory, too.
const memoryNeeded = 8 * gibibyte;

export interface RunFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * Makes the folder in which all tests of the run put their files, and removes it with everything that they left. It lies in
 * memory where there is room: to make and remove the thousands of small files of throw-away databases takes a disk's file
 * system a quarter of the run's processor time, and what is tested outlives processes, not power cuts.
 */
export async function makeRunFolder(): Promise<RunFolder> {
  const path = await mkdtemp(join((await memoryFolder()) ?? tmpdir(), "onsale-run-"));
  // PostgreSQL does not run as root: its own account has to come through.
  await chmod(path, 0o711);
  const reaper = reapWhenWeDie(path);
  return {
    path,
    async remove() {
      reaper.stop();
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Linux's file system in memory, if it is there, has room, and lets programs be run from it. */
async function memoryFolder(): Promise<string | undefined> {
  const folder = "/dev/shm";
  try {
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < roomNeeded || process.availableMemory() < memoryNeeded) return undefined;
    return (await mayRunPrograms(folder)) ? folder : undefined;
  } catch {
    return undefined;
  }
}

async function mayRunPrograms(folder: string): Promise<boolean> {
  const own = await mkdtemp(join(folder, "onsale-probe-"));
  try {
    const program = join(own, "program");
    await writeFile(program, "", { mode: 0o755 });
    await access(program, constants.X_OK);
    return true;
  } catch {
    return false;
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}
