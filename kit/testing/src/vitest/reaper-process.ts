/** Run by `reaper.ts` as a process of its own: `reaper-process.ts PID DIRECTORY`. */

import { readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const boundMs = 60 * 60 * 1_000;

const [pid, directory] = [Number(process.argv[2]), process.argv[3] ?? ""];
const word = await Promise.race([text(process.stdin), sleep(boundMs, "late")]);
if (word !== "stop") {
  await stopServer();
  rmSync(directory, { recursive: true, force: true });
}
process.exit();

async function stopServer(): Promise<void> {
  if (!isServer()) return;
  process.kill(pid, "SIGCONT");
  process.kill(pid, "SIGQUIT");
  for (let waits = 0; isServer() && waits < 100; waits++) await sleep(50);
  if (isServer()) process.kill(pid, "SIGKILL");
}

/** Whether the number still belongs to our server: it works in its data folder. */
function isServer(): boolean {
  try {
    if (process.platform !== "linux") return process.kill(pid, 0);
    return readlinkSync(`/proc/${pid}/cwd`) === join(directory, "data");
  } catch {
    return false;
  }
}
