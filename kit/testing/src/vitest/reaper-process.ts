/** Run by `reaper.ts` as a process of its own: `reaper-process.ts DIRECTORY`. */

import { readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const boundMs = 60 * 60 * 1_000;

const directory = process.argv[2] ?? "";
const data = join(directory, "data");
const word = await Promise.race([text(process.stdin), sleep(boundMs, "late")]);
if (word !== "stop") {
  await stopServer();
  killKafka();
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
process.exit();

async function stopServer(): Promise<void> {
  const pid = postmaster();
  if (pid === undefined) return;
  process.kill(pid, "SIGCONT");
  process.kill(pid, "SIGQUIT");
  for (let waits = 0; postmaster() === pid && waits < 100; waits++) await sleep(50);
  if (postmaster() === pid) process.kill(pid, "SIGKILL");
}

/** The broker of the folder, whose warden lets it end in good order: nobody needs its data any more. */
function killKafka(): void {
  try {
    const pid = Number.parseInt(readFileSync(join(directory, "process"), "utf8"), 10);
    if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${directory}/`)) process.kill(pid, "SIGKILL");
  } catch {
    // There is none, or it has ended.
  }
}

/** The process that the server's own file names, if that number still belongs to it: it works in its data folder. */
function postmaster(): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(join(data, "postmaster.pid"), "utf8"), 10);
    const isOurs = process.platform === "linux" ? readlinkSync(`/proc/${pid}/cwd`) === data : process.kill(pid, 0);
    return isOurs ? pid : undefined;
  } catch {
    return undefined;
  }
}
