/** Run by `reaper.ts` as a process of its own: `reaper-process.ts DIRECTORY`. */

import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const boundMs = 3 * 60 * 60 * 1_000;

const directory = process.argv[2] ?? "";
const word = await Promise.race([text(process.stdin), sleep(boundMs, "late")]);
if (word !== "stop") {
  await Promise.all(homes().map(endServersOf));
  endOthers();
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
process.exit();

/** Where servers may live: the folder, and those that lie in it. */
function homes(): string[] {
  const entries = readdirSync(directory, { withFileTypes: true });
  return [directory, ...entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name))];
}

async function endServersOf(home: string): Promise<void> {
  killChild(home);
  await stopPostgres(join(home, "data"));
}

async function stopPostgres(data: string): Promise<void> {
  const pid = postmaster(data);
  if (pid === undefined) return;
  process.kill(pid, "SIGCONT");
  process.kill(pid, "SIGQUIT");
  for (let waits = 0; postmaster(data) === pid && waits < 100; waits++) await sleep(50);
  if (postmaster(data) === pid) process.kill(pid, "SIGKILL");
}

/** The broker or Redis whose folder it is; its warden would let it end in good order, but nobody needs its data any more. */
function killChild(home: string): void {
  try {
    const pid = Number.parseInt(readFileSync(join(home, "process"), "utf8"), 10);
    if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${home}/`)) process.kill(pid, "SIGKILL");
  } catch {
    // There is none, or it has ended.
  }
}

/** The process that the server's own file names, if that number still belongs to it: it works in its data folder. */
function postmaster(data: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(join(data, "postmaster.pid"), "utf8"), 10);
    const isOurs = process.platform === "linux" ? readlinkSync(`/proc/${pid}/cwd`) === data : process.kill(pid, 0);
    return isOurs ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Shops that tests opened, their providers and databases: they name the folder in their command lines. Only Linux tells. */
function endOthers(): void {
  if (process.platform !== "linux") return;
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  for (const pid of pids) {
    try {
      const [program = "", ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (pid === process.pid || !args.some((arg) => arg.includes(`${directory}/`))) continue;
      // Killed outright, PostgreSQL would leave memory behind that it shares.
      process.kill(pid, program.endsWith("/postgres") ? "SIGQUIT" : "SIGKILL");
      // A test may have frozen it.
      process.kill(pid, "SIGCONT");
    } catch {
      // It has ended meanwhile.
    }
  }
}
