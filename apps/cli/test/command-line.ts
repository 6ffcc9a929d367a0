/** The command line as a person calls it: as a process, with an environment of its own. */

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "@onsale/runtime";
import { type SpawnedNode, spawnNode, waitFor } from "@onsale/testing";
import { foldersIn } from "../src/data-folder.ts";
import { endProcess } from "../src/process-mark.ts";
import { readServerFile, type ServerFile } from "../src/server-file.ts";
import type { Status } from "../src/status.ts";

export const main = new URL("../src/main.ts", import.meta.url);
// A broker lives for a minute, in which its machine's better compiler costs more than it gives.
export const environment = (more: Readonly<Record<string, string>> = {}) =>
  childEnvironment({
    JAVA_TOOL_OPTIONS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    ...more,
  });

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export function onsale(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [fileURLToPath(main), ...args], { env: environment(env) }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

/** A folder for one shop; whatever still runs on it at the end is ended, by the process ids that the shop wrote down. */
export async function shopFolder() {
  const root = await mkdtemp(join(tmpdir(), "onsale up "));
  const folder = foldersIn(root);
  const server = async (): Promise<Required<ServerFile>> => (await readServerFile(folder)) as Required<ServerFile>;
  return {
    root,
    folder,
    server,
    up: (args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<SpawnedNode> =>
      spawnNode(main, { args: ["up", "--data", root, ...args], env: environment(env) }),
    status: async (): Promise<Status> => JSON.parse((await onsale(["status", "--data", root, "-o", "json"])).stdout),
    async remove() {
      const left = await readServerFile(folder);
      for (const mark of [left?.server, left?.provider, left?.postgres, left?.kafkaBroker, left?.redisServer])
        if (mark) await endProcess(mark, { signal: "SIGQUIT", withinMs: 2_000 });
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Waits until `up` says that the shop is open. The bound is for machines that do many other things. */
export const opened = (up: SpawnedNode): Promise<string> => up.line(/Onsale is open/, 120_000);

/** The readiness as anybody sees it: its status, 0 where nobody answers. */
export async function readiness(url: string): Promise<number> {
  const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.status ?? 0;
}

export const readinessIs = (url: string, status: number): Promise<unknown> =>
  waitFor(async () => (await readiness(url)) === status, { withinMs: 60_000, what: `readiness ${status}` });

/** A process and its children: of a postmaster, its sessions. */
export function familyOf(parent: number): number[] {
  const parentOf = (pid: string) => Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1]);
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const children = all.filter((pid) => {
    try {
      return parentOf(pid) === parent;
    } catch {
      return false;
    }
  });
  return [parent, ...children.map(Number)];
}
