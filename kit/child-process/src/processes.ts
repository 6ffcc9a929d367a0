/** Processes as the system shows them: /proc on Linux, ps elsewhere. */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Milliseconds between two looks at a process that may not be our child, so that there is no event to wait for. */
const pollMs = 20;

// A killed process is gone as soon as the system has taken back its memory.
const killedMs = 10_000;

/** Ends a process of the folder: asks, waits `withinMs`, then kills. Somebody else's process with the same id is left alone. */
export async function endProcess(pid: number, directory: string, withinMs: number): Promise<void> {
  if (!(await isProcessOf(pid, directory))) return;
  if (withinMs > 0) {
    // A frozen process hears nothing until it goes on.
    signal(pid, "SIGCONT");
    signal(pid, "SIGTERM");
    if (await isGoneWithin(pid, directory, withinMs)) return;
  }
  signal(pid, "SIGKILL");
  await isGoneWithin(pid, directory, killedMs);
}

async function isGoneWithin(pid: number, directory: string, boundMs: number): Promise<boolean> {
  const deadline = performance.now() + boundMs;
  while (await isProcessOf(pid, directory)) {
    if (performance.now() > deadline) return false;
    await sleep(pollMs);
  }
  return true;
}

/** Whether a living process has the folder in its command line: a number in a file proves nothing, another program may have got it since. */
export async function isProcessOf(pid: number, directory: string): Promise<boolean> {
  // One that has ended and only waits to be collected has no command line any more.
  const command =
    process.platform === "linux"
      ? await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")
      : await ps(pid, "command=");
  return command.includes(`${directory}/`);
}

/** The process whose child it is; 0 when it is gone. */
export async function parentOf(pid: number): Promise<number> {
  if (process.platform !== "linux") return Number(await ps(pid, "ppid="));
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name stands in brackets and may itself hold brackets and spaces.
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
}

const ps = (pid: number, column: string): Promise<string> =>
  run("ps", ["-ww", "-o", column, "-p", String(pid)]).then(
    ({ stdout }) => stdout.trim(),
    () => "",
  );

/** Sends a signal; does nothing when the process is gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
