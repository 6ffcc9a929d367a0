import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";

/** Names one process for good: its id, and when it began, because ids are given again. */
export interface ProcessMark {
  readonly pid: number;
  /** As the system tells it; equal strings are equal moments. */
  readonly began: string;
}

export const ProcessMark = Type.Object({ pid: Type.Integer({ minimum: 1 }), began: Type.String() });

/** The mark of a living process, or undefined. One that has ended and only waits to be collected is not alive. */
export function markOf(pid: number): ProcessMark | undefined {
  const began = process.platform === "linux" ? beganOnLinux(pid) : beganElsewhere(pid);
  return began === undefined ? undefined : { pid, began };
}

export const isAlive = (mark: ProcessMark): boolean => markOf(mark.pid)?.began === mark.began;

export const ownMark = (): ProcessMark => markOf(process.pid) ?? { pid: process.pid, began: "unknown" };

/** Boot and clock ticks since then; see proc(5): the fields behind the name, which is in brackets and may hold anything. */
function beganOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    if (state === "Z" || state === "X") return undefined;
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}

function beganElsewhere(pid: number): string | undefined {
  try {
    const text = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    return text === "" || text.startsWith("Z") ? undefined : text.replace(/^\S+\s+/, "");
  } catch {
    return undefined;
  }
}

// It is not our child, so there is no event to wait for.
const pollMs = 20;

/** Ends a process that may not be our child: asks, waits, then kills. Somebody else's process with the same id is left alone. */
export async function endProcess(
  mark: ProcessMark,
  { signal, withinMs }: { signal: NodeJS.Signals; withinMs: number },
): Promise<void> {
  if (!send(mark, signal)) return;
  // A frozen process hears nothing until it goes on.
  send(mark, "SIGCONT");
  const deadline = performance.now() + withinMs;
  while (isAlive(mark)) {
    if (performance.now() > deadline) send(mark, "SIGKILL");
    await sleep(pollMs);
  }
}

/** Sends a signal to exactly this process; false when it is gone. */
export function send(mark: ProcessMark, signal: NodeJS.Signals): boolean {
  if (!isAlive(mark)) return false;
  try {
    process.kill(mark.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
